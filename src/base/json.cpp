#include "src/base/json.h"

#include <algorithm>

namespace hsmith {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::ptrdiff_t kDeepest = 100;

class NestedTooDeeply : public Json::exception {
 public:
  NestedTooDeeply() : Json::exception(600, "its brackets nest more than 100 deep") {}
};

// Of text that is no JSON this counts as far as a parser goes, which stops at its first fault.
bool nests_too_deeply(std::string_view text) {
  const auto opening =
      std::count(text.begin(), text.end(), '[') + std::count(text.begin(), text.end(), '{');
  if (opening <= kDeepest) return false;
  std::ptrdiff_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && (c == '[' || c == '{')) {
      if (++depth > kDeepest) return true;
    } else if (!in_string && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return false;
}

}  // namespace

Json parse_json(std::string_view text) {
  if (nests_too_deeply(text)) throw NestedTooDeeply();
  return Json::parse(text);
}

bool is_json(std::string_view text) { return !nests_too_deeply(text) && Json::accept(text); }

}  // namespace hsmith
