// PINs, passwords and plaintext keys.
#pragma once

#include <string_view>

#include "src/base/bytes.h"

namespace hsmith {

// Bytes that must not outlive their use: wiped on destruction, never copied, never printed.
class Secret {
 public:
  Secret() = default;
  explicit Secret(ByteView bytes);
  explicit Secret(std::string_view text) : Secret(as_bytes(text)) {}
  // Takes the bytes over and wipes where they came from.
  static Secret take(Bytes&& bytes);
  static Secret take(std::string&& text);

  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  bool empty() const { return bytes_.empty(); }
  std::size_t size() const { return bytes_.size(); }
  // The one way to look inside. Grep for reveal() to audit every reader.
  ByteView reveal() const { return bytes_; }

 private:
  void wipe() noexcept;
  Bytes bytes_;
};

// Overwrites memory in a way the compiler must not leave out.
void wipe(void* memory, std::size_t size) noexcept;

}  // namespace hsmith
