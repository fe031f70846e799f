// Who stands for a report, by a signature over it and the challenge; the file that holds both.
#pragma once

#include <optional>
#include <string>

#include "src/ossl/remote_key.h"
#include "tokens/proof.h"

namespace hsmith::tokens {

// "hsmith key prove v1", NUL, SHA-256 of the report, the challenge.
Bytes signed_bytes(std::string_view report, ByteView challenge);

// The signature of the default scheme of the key's type (ossl::choose_scheme) over bytes.
Bytes sign_bytes(ossl::RemoteKey& key, ByteView bytes);
bool verify_bytes(EVP_PKEY* key, ByteView bytes, ByteView signature);

// What a key that does not sign does instead. RSA: the challenge is a nonce of 32 bytes, encrypted
// to it with OAEP (SHA-1, as OpenSSL has it); EC: it is an ephemeral point, and the nonce is what
// ECDH makes of it. Gives HMAC-SHA-256 with the nonce as key over signed_bytes of the report and an
// empty challenge: whoever knows the nonce can check it, and nobody gets to know it.
Bytes open_challenge(ossl::RemoteKey& key, std::string_view report, ByteView challenge);
bool verify_opened(std::string_view report, ByteView nonce, ByteView mac);

struct Witness {
  Bytes public_key;  // SubjectPublicKeyInfo, DER
  Bytes signature;
};

// Two lines of JSON: the report, and what stands for it.
struct Bundle {
  std::string report;
  bool opened = false;  // `holder` is what open_challenge gave, not a signature
  Bytes holder;
  std::optional<Witness> witness;
};
std::string bundle_text(const Bundle& bundle);
// Throws malformed for anything that bundle_text would not have written just so.
Bundle parse_bundle(std::string_view text, const std::string& input);

}  // namespace hsmith::tokens
