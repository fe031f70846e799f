// What a check found: an answer, not an error.
#pragma once

#include <span>
#include <string>

namespace hsmith::x509 {

enum class Severity {
  notice,   // worth knowing
  warning,  // some authority will refuse it, or a program will stumble
  error,    // must not be used, or every authority refuses it
};

struct Finding {
  Severity severity;
  std::string code;    // snake_case, stable
  std::string text;    // one line, safe for a terminal
  std::string hint{};  // what to do about it; may be empty
};

// "notice", "warning", "error".
const char* severity_name(Severity severity);

bool has_errors(std::span<const Finding> findings);

}  // namespace hsmith::x509
