// Private keys in this process's memory, where one must be outside of a token for a moment.
#pragma once

#include <memory>

#include "src/ossl/remote_key.h"

namespace hsmith::ossl {

// A fresh key pair: RSA, EC or Ed25519.
PKey generate_software_key(const KeyType& type);

// RemoteKey::sign by a key in memory.
Bytes sign_in_software(EVP_PKEY* key, const Scheme& scheme, ByteView digest_or_message);

// The key where a RemoteKey is asked for. It signs; all else is unsupported.
std::shared_ptr<RemoteKey> software_key(PKey private_key);

}  // namespace hsmith::ossl
