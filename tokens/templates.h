// The one place that spells the attributes of keys, by what a key is for.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "pkcs11/mechanism.h"
#include "pkcs11/template.h"
#include "src/ossl/algorithms.h"

namespace hsmith::tokens {

enum class Use { sign, decrypt, derive };

// "sign", "decrypt", "derive", or several with commas. Throws usage for an unknown word, and for a
// key type that cannot be used so (only RSA decrypts, only EC derives, AES keys are for wrapping).
std::set<Use> parse_uses(std::string_view text, const ossl::KeyType& type);
// What a type is for when nothing is asked: signing.
std::string use_names(const std::set<Use>& uses);

struct KeySpec {
  const ossl::KeyType* type = nullptr;
  std::set<Use> uses;
  std::string label;
  Bytes id;  // empty: the SHA-1 of the public key, set after the generation
};

pkcs11::Mechanism generation_mechanism(const ossl::KeyType& type);
// Private, sensitive, never extractable; every usage flag is sent, the unwanted ones as false, for
// tokens have defaults of their own.
pkcs11::Template private_key_template(const KeySpec& spec);
pkcs11::Template public_key_template(const KeySpec& spec);
// A certificate object; `value` is the DER, the others are its fields, DER.
struct CertificateFields {
  Bytes value;
  Bytes subject;
  Bytes issuer;
  Bytes serial;
};
pkcs11::Template certificate_template(const CertificateFields& fields, const std::string& label,
                                      ByteView id);
// A session object that holds a secret and can be read: the x-coordinate of an ECDH product, or
// what was unwrapped, which brings its size along (0).
pkcs11::Template readable_secret_template(std::size_t size);

}  // namespace hsmith::tokens
