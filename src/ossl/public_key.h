// A public key on its way into what is signed.
#pragma once

#include <openssl/x509.h>

namespace hsmith::ossl {

// Puts a public key into a request or a certificate that is being made. Throws internal when
// OpenSSL fails.
void set_public_key(X509_PUBKEY* info, const EVP_PKEY* key);

}  // namespace hsmith::ossl
