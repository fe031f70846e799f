#include "src/base/secret.h"

#include <cstring>
#include <utility>

namespace hsmith {

void wipe(void* memory, std::size_t size) noexcept {
  if (size != 0) explicit_bzero(memory, size);
}

Secret::Secret(ByteView bytes) : bytes_(bytes.begin(), bytes.end()) {}

Secret Secret::take(Bytes&& bytes) {
  Secret secret{ByteView(bytes)};
  hsmith::wipe(bytes.data(), bytes.size());
  bytes.clear();
  return secret;
}

Secret Secret::take(std::string&& text) {
  Secret secret{std::string_view(text)};
  hsmith::wipe(text.data(), text.size());
  text.clear();
  return secret;
}

Secret::Secret(Secret&& other) noexcept : bytes_(std::move(other.bytes_)) { other.bytes_.clear(); }

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe();
    bytes_ = std::move(other.bytes_);
    other.bytes_.clear();
  }
  return *this;
}

Secret::~Secret() { wipe(); }

void Secret::wipe() noexcept {
  hsmith::wipe(bytes_.data(), bytes_.size());
  bytes_.clear();
}

}  // namespace hsmith
