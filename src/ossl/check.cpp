#include "src/ossl/check.h"

#include <exception>
#include <openssl/err.h>
#include <string>
#include <utility>

namespace hsmith::ossl {
namespace {

thread_local std::exception_ptr kept;

// The newest entry is the outermost cause and says least; the first one was the trigger.
std::string first_reason() {
  const char* data = nullptr;
  int flags = 0;
  const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags);
  if (code == 0) return "OpenSSL gives no reason";
  const char* reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "OpenSSL error " + std::to_string(code);
  if (data != nullptr && (flags & ERR_TXT_STRING) != 0 && *data != '\0') {
    text += " (" + std::string(data) + ")";
  }
  return text;
}

}  // namespace

void clear_errors() {
  ERR_clear_error();
  kept = nullptr;
}

void check(bool ok, std::string_view doing, Kind kind) {
  if (ok) return;
  if (kept) {
    ERR_clear_error();
    std::rethrow_exception(std::exchange(kept, nullptr));
  }
  const std::string reason = first_reason();
  ERR_clear_error();
  throw Error(kind, std::string(doing) + ": " + reason);
}

void keep_current_exception() noexcept { kept = std::current_exception(); }

}  // namespace hsmith::ossl
