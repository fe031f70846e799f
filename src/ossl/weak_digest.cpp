#include "src/ossl/weak_digest.h"

#include "src/base/error.h"

namespace hsmith::ossl {

bool is_weak(const Scheme& scheme) {
  return scheme.digest != nullptr && scheme.digest->md == EVP_sha1;
}

void refuse_weak_digest(const Scheme& scheme) {
  if (!is_weak(scheme)) return;
  throw Error(Kind::refused, "sign: SHA-1 is too weak for a new signature").hint("use sha256");
}

}  // namespace hsmith::ossl
