#include "pkcs11/trace.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "pkcs11/error.h"
#include "src/base/text.h"

namespace hsmith::pkcs11 {

Trace::Trace(const std::string& path)
    : file_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600)) {
  if (file_.get() < 0) {
    throw Error(Kind::io, fmt::format("write the trace {}: {}", quoted(path), strerror(errno)));
  }
}

void Trace::line(std::string_view function, std::string_view arguments, CK_RV rv,
                 std::chrono::nanoseconds took) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  const std::string text = fmt::format("{} {}({}) = {} {}us\n", ++number_, function, arguments,
                                       return_code_name(rv), microseconds);
  if (write(file_.get(), text.data(), text.size()) < 0) {
    throw Error(Kind::io, fmt::format("write the trace: {}", strerror(errno)));
  }
}

}  // namespace hsmith::pkcs11
