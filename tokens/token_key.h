// A token's private key as the rest of hsmith uses it: an ossl::RemoteKey.
#pragma once

#include <memory>

#include "src/ossl/remote_key.h"
#include "tokens/keys.h"

namespace hsmith::tokens {

// What a signature is wanted for. A key that may not sign still signs its own certificate request.
enum class Signing { anything, own_request };

// Throws unsupported for a key of which the token says that it may not sign.
void check_may_sign(const Key& key);

// The key with its public half, which is read from the token when the key does not show it. Every
// signature is verified with that public half before it is given out. A key that was not made for
// signing refuses; for its own request it signs by raw RSA decryption (CKM_RSA_X_509), or is made
// able to sign for that moment.
std::shared_ptr<ossl::RemoteKey> remote_key(const OpenToken& token, const Key& key,
                                            Signing signing = Signing::anything);

// Takes back that a key may sign, which a request that was interrupted had left it able to.
void forbid_signing(const OpenToken& token, const Key& key);

// Proves that the private key is the other half of `public_key`, by an operation that the key is
// made for: a signature, a decryption or a key agreement. False when it is not.
bool holds_private_half(const OpenToken& token, const Key& key, EVP_PKEY* public_key);

}  // namespace hsmith::tokens
