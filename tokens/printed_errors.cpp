#include "tokens/printed_errors.h"

#include <sys/mman.h>
#include <unistd.h>

#include "src/base/text.h"

namespace hsmith::tokens {

PrintedErrors::PrintedErrors() : file_(memfd_create("errors", MFD_CLOEXEC)) {
  dup2(file_.get(), STDERR_FILENO);
}

std::string PrintedErrors::text() const {
  std::string printed(4096, '\0');
  const ssize_t got = pread(file_.get(), printed.data(), printed.size(), 0);
  printed.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  std::string joined;
  for (const std::string& line : split(printed, '\n')) {
    if (!trim(line).empty()) joined += (joined.empty() ? "" : "; ") + std::string(trim(line));
  }
  return joined;
}

}  // namespace hsmith::tokens
