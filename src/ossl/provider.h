// hsmith's own OpenSSL provider, as its files share it. The rest of hsmith sees remote_key.h only.
#pragma once

#include <exception>
#include <memory>
#include <openssl/core_dispatch.h>

#include "src/ossl/check.h"
#include "src/ossl/handles.h"
#include "src/ossl/remote_key.h"

namespace hsmith::ossl {

inline constexpr char kProviderName[] = "hsmith";
inline constexpr char kProviderProperties[] = "provider=hsmith";

// The one parameter that makes a key: the bytes of a `const KeyData*`.
inline constexpr char kKeyDataParam[] = "hsmith-key";

struct Library;  // the private OSSL_LIB_CTX and its providers

// What an EVP_PKEY of this provider holds. The last key takes the library context with it.
struct KeyData {
  std::shared_ptr<Library> library;
  std::shared_ptr<RemoteKey> key;
};

const OSSL_ALGORITHM* keymgmt_algorithms();
const OSSL_ALGORITHM* signature_algorithms();

// One line of a dispatch table; the type of the function is checked against OpenSSL's own.
template <typename Function>
OSSL_DISPATCH entry(int id, Function* function) {
  return {id, reinterpret_cast<void (*)()>(function)};
}

// Runs the body of a callback. OpenSSL's frames are no place for an exception: it is kept for the
// caller's next check(), and OpenSSL is told 0.
template <typename Body>
int guarded(Body body) noexcept {
  try {
    return body() ? 1 : 0;
  } catch (...) {
    keep_current_exception();
    return 0;
  }
}

}  // namespace hsmith::ossl
