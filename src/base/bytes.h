// Bytes and their text forms.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hsmith {

using Bytes = std::vector<unsigned char>;
using ByteView = std::span<const unsigned char>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(ByteView bytes) { return Bytes(bytes.begin(), bytes.end()); }

bool equal(ByteView a, ByteView b);

// Lower-case hex without separators.
std::string hex(ByteView bytes);

// Hex of either case, with or without ':' between the pairs. nullopt when it is anything else,
// the empty text included.
std::optional<Bytes> parse_hex(std::string_view text);

}  // namespace hsmith
