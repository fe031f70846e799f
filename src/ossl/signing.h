// What X509_REQ_sign_ctx, X509_sign_ctx and X509_CRL_sign_ctx take.
#pragma once

#include "src/ossl/algorithms.h"
#include "src/ossl/handles.h"

namespace hsmith::ossl {

// A context that signs with the key by the scheme; the key must live until it has signed.
DigestContext signing_context(EVP_PKEY* key, const Scheme& scheme);

}  // namespace hsmith::ossl
