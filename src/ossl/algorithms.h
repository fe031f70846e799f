// The one table of key types, digests and signature schemes.
#pragma once

#include <openssl/evp.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"

namespace hsmith::ossl {

enum class KeyAlgorithm { rsa, ec, ed25519, aes };

// A kind of key that hsmith makes, by the name that the command line gives it.
struct KeyType {
  const char* name;  // "rsa:2048", "ec:p256", "ed25519", "aes:256"
  KeyAlgorithm algorithm;
  int bits;
  const char* group;              // OpenSSL's name of the curve; nullptr where there is none
  const char* curve_oid_der_hex;  // CKA_EC_PARAMS: the OID, DER, hex; nullptr for RSA and AES
  const char* default_digest;     // what a signature uses when nothing is asked; nullptr: none
};
std::span<const KeyType> key_types();
// Throws usage with the nearest name.
const KeyType& key_type_named(std::string_view name);
// nullptr when the curve is not in the table. `der` is a CKA_EC_PARAMS value: an OID, or what some
// tokens say for Ed25519: the PrintableString "edwards25519", or the OID 1.3.6.1.4.1.11591.15.1.
const KeyType* key_type_of_curve(ByteView der);
// "rsa:2048", "ec:p256", "ed25519"; for what the table has not: "rsa:1024", "ec:brainpoolP256r1".
std::string key_type_name(const EVP_PKEY* key);

struct DigestType {
  const char* name;       // "sha256"; also OpenSSL's name
  std::size_t size;       // bytes
  const EVP_MD* (*md)();  // for OpenSSL's functions: X509_sign(certificate, key, type.md())
};
std::span<const DigestType> digest_types();
// Throws usage with the nearest name. Case and a '-' do not matter: "SHA-256".
const DigestType& digest_named(std::string_view name);

enum class Padding { none, pkcs1, pss };

// How a signature is made. RSA has a padding; ECDSA has none; Ed25519 has neither digest nor
// padding. PSS uses MGF1 with the same digest and a salt as long as the digest (RFC 8017, 8.1).
struct Scheme {
  Padding padding = Padding::none;
  const DigestType* digest = nullptr;
};

// The scheme for a key: what was asked for ("" = nothing; pkcs1, pss, ecdsa, eddsa), else the
// default of its type: RSA PKCS#1 with SHA-256; P-256, P-384, P-521 with SHA-256, SHA-384,
// SHA-512. Throws usage when the key cannot be used so ("pss" with an EC key, a digest with
// Ed25519).
Scheme choose_scheme(const EVP_PKEY* key, std::string_view scheme, std::string_view digest);

// "RSA PKCS#1 v1.5 with sha256", "ECDSA with sha384", "Ed25519".
std::string describe(const EVP_PKEY* key, const Scheme& scheme);

// Throws unsupported for a key that is neither RSA, EC nor Ed25519.
KeyAlgorithm algorithm_of(const EVP_PKEY* key);

// The digest of some bytes.
Bytes digest(const DigestType& type, ByteView data);

// Hashes what is fed to it block by block.
class Hasher {
 public:
  explicit Hasher(const DigestType& type);
  void update(ByteView block);
  Bytes finish();

 private:
  DigestContext context_;
};

// The block that an RSA PKCS#1 v1.5 signature encrypts: DigestInfo, DER (RFC 8017, 9.2 step 2).
// Throws malformed when the digest has not the length of its type.
Bytes digest_info(const DigestType& type, ByteView digest);

// The AlgorithmIdentifier of a signature, DER: RFC 3279, 2.2; RFC 5758, 3.2; RFC 8410, 3; for PSS
// RFC 4055, 3.1, with NULL after the digest's OID.
Bytes algorithm_identifier(const EVP_PKEY* key, const Scheme& scheme);

// Verifies a signature over a digest (Ed25519: over the whole message). ECDSA signatures are DER.
// A plain answer; errors of the library count as "no".
bool verify(EVP_PKEY* key, const Scheme& scheme, ByteView digest_or_message, ByteView signature);

// ECDSA signatures: DER Ecdsa-Sig-Value (RFC 3279, 2.2.3) and r || s of fixed width. Both throw
// malformed; the width comes from the key's curve.
Bytes ecdsa_der_from_raw(const EVP_PKEY* key, ByteView raw);
Bytes ecdsa_raw_from_der(const EVP_PKEY* key, ByteView der);

// SubjectPublicKeyInfo, DER (RFC 5280, 4.1.2.7). Reading throws malformed.
Bytes spki_of(const EVP_PKEY* key);
PKey public_key_from_spki(ByteView der);
// From a token's attributes: big-endian numbers; a curve's CKA_EC_PARAMS and the point, raw.
// Both throw malformed when the numbers make no key.
PKey rsa_public_key(ByteView modulus, ByteView exponent);
PKey ec_public_key(const KeyType& type, ByteView point);
// The bits of subjectPublicKey: what a key identifier is the SHA-1 of (RFC 5280, 4.2.1.2 (1)).
Bytes public_key_bits(const EVP_PKEY* key);
Bytes key_identifier(const EVP_PKEY* key);

bool same_public_key(const EVP_PKEY* a, const EVP_PKEY* b);

}  // namespace hsmith::ossl
