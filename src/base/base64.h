// Base64 and base64url (RFC 4648).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/base/bytes.h"

namespace hsmith {

// With padding, on one line.
std::string base64(ByteView bytes);
// Without padding (RFC 7515, 2).
std::string base64url(ByteView bytes);

// Exactly what base64() and base64url() give: no other character, and the bits that do not count
// are zero. nullopt for anything else; the empty text is no bytes.
std::optional<Bytes> parse_base64(std::string_view text);
std::optional<Bytes> parse_base64url(std::string_view text);

}  // namespace hsmith
