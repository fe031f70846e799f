// Public keys as other programs write them.
#pragma once

#include <openssl/evp.h>
#include <string>

namespace hsmith::ossl {

// An authorized_keys line without its comment (RFC 4253, 6.6; RFC 5656, 3.1; RFC 8709, 4).
std::string ssh_public_key(const EVP_PKEY* key);

// A JSON Web Key (RFC 7517; RFC 7518, 6; RFC 8037, 2), one line, members in the order of RFC 7638.
std::string jwk(const EVP_PKEY* key);

}  // namespace hsmith::ossl
