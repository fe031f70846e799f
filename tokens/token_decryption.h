// What a token's private key does besides signing: RSA decryption and ECDH.
#pragma once

#include <optional>

#include "src/base/error.h"
#include "src/ossl/rsa_padding.h"
#include "tokens/keys.h"

namespace hsmith::tokens {

// Borrows token, key and public half for as long as it is used. What the functions promise stands
// at ossl::RemoteKey.
struct TokenDecryption {
  const OpenToken& token;
  const Key& key;
  EVP_PKEY* public_half;
  std::optional<Error> refusal = std::nullopt;  // why the last mechanism was not taken

  Secret decrypt(const ossl::RsaEncryption& how, ByteView ciphertext);
  ossl::DecryptedKey decrypt_key(const ossl::RsaEncryption& how, ByteView ciphertext,
                                 std::size_t size);
  Secret derive(ByteView peer_point);
};

}  // namespace hsmith::tokens
