#include "tokens/json_members.h"

#include <fmt/format.h>

#include "src/base/base64.h"
#include "src/base/error.h"

namespace hsmith::tokens {

void Members::refuse(const std::string& why) const {
  throw Error(Kind::malformed, fmt::format("{}: {}", where_, why));
}

const Members::Json& Members::member(const char* name) const {
  const auto found = json_.find(name);
  if (found == json_.end()) refuse(fmt::format("it has no \"{}\"", name));
  return *found;
}

std::string Members::text(const char* name, std::size_t longest) const {
  const Json& value = member(name);
  if (!value.is_string() || value.get_ref<const std::string&>().size() > longest)
    refuse(fmt::format("\"{}\" is no text of at most {} bytes", name, longest));
  return value.get<std::string>();
}

Bytes Members::id(const char* name) const {
  const std::string value = text(name, 510);
  auto bytes = parse_hex(value);
  if (!bytes || hex(*bytes) != value) refuse(fmt::format("\"{}\" is no id", name));
  return std::move(*bytes);
}

Bytes Members::bytes(const Json& value, const char* name, std::size_t longest) const {
  const std::string too_long =
      fmt::format("\"{}\" is longer than {} bytes, or no text", name, longest);
  if (!value.is_string()) refuse(too_long);
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > (longest + 2) / 3 * 4) refuse(too_long);
  auto bytes = parse_base64(text);
  if (!bytes || bytes->empty()) refuse(fmt::format("\"{}\" is not Base64", name));
  return std::move(*bytes);
}

const Members::Json& Members::list(const char* name, std::size_t most) const {
  const Json& value = member(name);
  if (!value.is_array() || value.size() > most)
    refuse(fmt::format("\"{}\" is no list of at most {}", name, most));
  return value;
}

Members Members::object(const char* name) const {
  const Json& value = member(name);
  if (!value.is_object()) refuse(fmt::format("\"{}\" is no object", name));
  return Members(value, where_);
}

}  // namespace hsmith::tokens
