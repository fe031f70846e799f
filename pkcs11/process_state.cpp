#include "pkcs11/process_state.h"

#include <clocale>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hsmith::pkcs11 {

ProcessState::ProcessState()
    : folder_(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)),
      mask_(umask(0)),
      locale_(setlocale(LC_ALL, nullptr)) {
  umask(mask_);
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], nullptr, &handlers_[i]);
}

ProcessState::~ProcessState() {
  // A folder that cannot be opened cannot be gone back to.
  [[maybe_unused]] const int ignored = fchdir(folder_.get());
  umask(mask_);
  if (locale_ != setlocale(LC_ALL, nullptr)) setlocale(LC_ALL, locale_.c_str());
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &handlers_[i], nullptr);
}

OutputToErrors::OutputToErrors() : output_(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) {
  fflush(stdout);
  if (output_.get() >= 0) dup2(STDERR_FILENO, STDOUT_FILENO);
}

OutputToErrors::~OutputToErrors() {
  fflush(stdout);  // what the module printed may still be in the library's buffer
  if (output_.get() >= 0) dup2(output_.get(), STDOUT_FILENO);
}

}  // namespace hsmith::pkcs11
