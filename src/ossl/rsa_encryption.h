// RSA encryption with a public key (RFC 8017, 7).
#pragma once

#include "src/ossl/handles.h"
#include "src/ossl/rsa_padding.h"

namespace hsmith::ossl {

// Throws unsupported for a message that is too long for the key and the padding.
Bytes rsa_encrypt(EVP_PKEY* key, const RsaEncryption& how, ByteView message);

}  // namespace hsmith::ossl
