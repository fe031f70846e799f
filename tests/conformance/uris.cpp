#include <fmt/format.h>
#include <optional>

#include "tests/conformance/answer.h"
#include "tokens/uri.h"

namespace hsmith::conformance {
namespace {

// The names that the cases give the parts of a URI.
std::optional<std::string> part_of(const tokens::Uri& uri, const std::string& name) {
  if (name == "object") return uri.object;
  if (name == "token") return uri.token;
  if (name == "slot-description") return uri.slot_description;
  if (name == "pin-source") return uri.pin_source;
  if (name == "module-name") return uri.module_name;
  if (name == "module-path") return uri.module_path;
  if (name == "id_hex" && uri.id) return hex(*uri.id);
  const std::string text = tokens::format(uri);
  const std::size_t at = text.find(name + "=");
  if (at == std::string::npos) return std::nullopt;
  const std::size_t start = at + name.size() + 1;
  return text.substr(start, text.find(';', start) - start);
}

}  // namespace

Answer parse_uri_case(const Json& test) {
  try {
    const tokens::Uri uri = tokens::parse_uri(test.at("uri").get<std::string>());
    const Json parts = test.value("parts", Json::object());
    for (const auto& [name, value] : parts.items()) {
      const auto part = part_of(uri, name);
      if (!part || value != *part) {
        return {"accept, but otherwise", fmt::format("{} is \"{}\"", name, part.value_or(""))};
      }
    }
    if (tokens::format(tokens::parse_uri(tokens::format(uri))) != tokens::format(uri)) {
      return {"accept, but otherwise", "what is printed is parsed as something else"};
    }
    return {"accept", ""};
  } catch (const Error& error) {
    return {error.kind() == Kind::usage ? "reject" : "error", error.what()};
  }
}

}  // namespace hsmith::conformance
