// A PIN from a program's output.
#pragma once

#include <chrono>
#include <string>

#include "src/base/secret.h"

namespace hsmith::tokens {

// Runs `command` with /bin/sh and returns the first line of its output. Its standard input is
// empty, its standard error is ours, its environment has no HSMITH_*. Throws pin_missing when it
// does not end with status 0 within `limit`; then it is killed.
Secret first_line_of_command(const std::string& command, std::chrono::milliseconds limit);

}  // namespace hsmith::tokens
