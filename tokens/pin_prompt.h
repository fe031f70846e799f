// Asking at the terminal.
#pragma once

#include <string>

#include "src/base/secret.h"

namespace hsmith::tokens {

// True when the process has a controlling terminal.
bool has_terminal();

// Asks on the controlling terminal, whatever the standard streams are, without echo. A signal that
// ends or stops the process does so after the terminal was restored; a stopped one asks again when
// it goes on. Throws pin_missing when there is no terminal or nothing is typed (Ctrl-D).
Secret prompt_secret(const std::string& question);

}  // namespace hsmith::tokens
