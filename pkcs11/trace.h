// --trace: every PKCS#11 call with its arguments, result and duration, one line each.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "pkcs11/cryptoki.h"
#include "src/base/files.h"

namespace hsmith::pkcs11 {

// The file is the user's: 0600, appended to. Nobody passes a PIN, a plaintext or a key to line().
class Trace {
 public:
  explicit Trace(const std::string& path);
  void line(std::string_view function, std::string_view arguments, CK_RV rv,
            std::chrono::nanoseconds took);

 private:
  Descriptor file_;
  unsigned long number_ = 0;
};

}  // namespace hsmith::pkcs11
