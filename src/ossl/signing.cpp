#include "src/ossl/signing.h"

#include <openssl/rsa.h>

#include "src/ossl/check.h"

namespace hsmith::ossl {

DigestContext signing_context(EVP_PKEY* key, const Scheme& scheme) {
  clear_errors();
  DigestContext context(check_ptr(EVP_MD_CTX_new(), "prepare a signature"));
  const EVP_MD* digest = scheme.digest == nullptr ? nullptr : scheme.digest->md();
  EVP_PKEY_CTX* parameters = nullptr;  // belongs to the digest context
  check(EVP_DigestSignInit(context.get(), &parameters, digest, nullptr, key) == 1,
        "prepare a signature");
  if (scheme.padding == Padding::pss) {
    check(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1, "choose RSA-PSS");
    check(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1,
          "choose RSA-PSS");
  }
  return context;
}

}  // namespace hsmith::ossl
