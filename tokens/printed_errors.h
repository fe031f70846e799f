// What a library or a program prints on standard error: often the best there is of its reasons.
#pragma once

#include <string>

#include "src/base/files.h"

namespace hsmith::tokens {

// Standard error of this process, from here on; for child processes.
class PrintedErrors {
 public:
  PrintedErrors();
  // The lines so far, "; " between them.
  std::string text() const;

 private:
  Descriptor file_;
};

}  // namespace hsmith::tokens
