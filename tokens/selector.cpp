#include "tokens/selector.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::tokens {
namespace {

constexpr std::string_view kId = "id:";
constexpr std::string_view kLabel = "label:";
constexpr std::string_view kFile = "file:";
constexpr std::size_t kLabelLimit = 255;

Selector from_uri(std::string_view text) {
  Selector selector;
  selector.uri = parse_uri(text);
  refuse_unsafe(selector.uri);
  selector.text = format(selector.uri);
  selector.label = selector.uri.object;
  selector.id = selector.uri.id;
  selector.type = selector.uri.type;
  return selector;
}

[[noreturn]] void refuse_label(std::string_view label, const std::string& cause) {
  throw Error(Kind::usage, fmt::format("use {} as a label: {}", quoted(label), cause));
}

// Without the backslash, whose escaped form differs though it can be seen.
bool is_visible(std::string_view label) {
  std::string text(label);
  std::erase(text, '\\');
  return printable(text) == text;
}

}  // namespace

Selector parse_selector(std::string_view text) {
  if (is_uri(text)) return from_uri(text);
  Selector selector;
  selector.text = text;
  if (text.starts_with(kId)) {
    selector.id = parse_hex(text.substr(kId.size()));
    if (!selector.id) {
      throw Error(Kind::usage, fmt::format("read {}: an id is written in pairs of hex digits, as "
                                           "in \"id:0a0b\"",
                                           quoted(text)));
    }
    return selector;
  }
  if (text.starts_with(kLabel)) text.remove_prefix(kLabel.size());
  if (text.empty()) throw Error(Kind::usage, "read the name of an object: it is empty");
  selector.label = text;
  return selector;
}

Meaning meaning_of(std::string_view argument) {
  if (is_uri(argument) || argument.starts_with(kId) || argument.starts_with(kLabel)) {
    return Meaning::object;
  }
  const bool is_path = argument.find('/') != std::string_view::npos;
  if (is_path || argument.starts_with(kFile) || argument == "-") return Meaning::file;
  return Meaning::either;
}

std::string file_path(std::string_view argument) {
  if (argument.starts_with(kFile)) argument.remove_prefix(kFile.size());
  return std::string(argument);
}

void check_new_label(std::string_view text) {
  if (text.empty()) refuse_label(text, "it is empty");
  if (text.size() > kLabelLimit) {
    refuse_label(text, fmt::format("it has {} bytes, more than {}", text.size(), kLabelLimit));
  }
  if (!is_utf8(text)) refuse_label(text, "it is not UTF-8");
  if (!is_visible(text)) refuse_label(text, "it holds characters that cannot be seen");
  for (const char c : {'@', '/'}) {
    if (text.find(c) != std::string_view::npos) refuse_label(text, fmt::format("it holds '{}'", c));
  }
  if (text == "-") refuse_label(text, "it stands for standard input");
  static constexpr std::array<std::string_view, 4> kPrefixes{"pkcs11:", kId, kLabel, kFile};
  for (const std::string_view prefix : kPrefixes) {
    if (lower(text).starts_with(prefix)) {
      refuse_label(text, fmt::format("\"{}\" at its start means something else", prefix));
    }
  }
}

}  // namespace hsmith::tokens
