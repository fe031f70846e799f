// The first line of what a PIN comes from.
#pragma once

#include "src/base/secret.h"

namespace hsmith::tokens {

inline constexpr std::size_t kPinLimit = 255;  // bytes

// Collects the first line of a stream without leaving copies of it behind. An overlong line is
// complete once enough of it came to show that it is one: it may have no end.
class PinLine {
 public:
  PinLine() { line_.reserve(kKept); }
  PinLine(const PinLine&) = delete;
  PinLine& operator=(const PinLine&) = delete;
  ~PinLine() { wipe(line_.data(), line_.size()); }

  // What follows is passed over.
  void take(ByteView block) {
    for (unsigned char byte : block) {
      if (complete_) return;
      if (byte != '\n') line_.push_back(byte);
      complete_ = byte == '\n' || line_.size() == kKept;
    }
  }
  bool complete() const { return complete_; }
  // The line without its end, LF or CR LF.
  Secret finish() {
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    return Secret::take(std::move(line_));
  }

 private:
  static constexpr std::size_t kKept = kPinLimit + 2;
  Bytes line_;
  bool complete_ = false;
};

}  // namespace hsmith::tokens
