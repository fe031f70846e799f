#include "tokens/uri.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <iterator>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::tokens {
namespace {

constexpr std::string_view kScheme = "pkcs11:";

// Texts of the path with the size of the PKCS#11 field that they are compared with; 0: any size.
struct TextAttribute {
  const char* name;
  std::optional<std::string> Uri::*member;
  std::size_t field_size;
};
constexpr std::array kTexts{
    TextAttribute{"token", &Uri::token, 32},
    TextAttribute{"manufacturer", &Uri::manufacturer, 32},
    TextAttribute{"model", &Uri::model, 16},
    TextAttribute{"serial", &Uri::serial, 16},
    TextAttribute{"library-manufacturer", &Uri::library_manufacturer, 32},
    TextAttribute{"library-description", &Uri::library_description, 32},
    TextAttribute{"slot-manufacturer", &Uri::slot_manufacturer, 32},
    TextAttribute{"slot-description", &Uri::slot_description, 64},
    TextAttribute{"object", &Uri::object, 0},
};

constexpr std::array kTypes{
    std::pair{"cert", ObjectType::cert},
    std::pair{"data", ObjectType::data},
    std::pair{"private", ObjectType::private_key},
    std::pair{"public", ObjectType::public_key},
    std::pair{"secret-key", ObjectType::secret_key},
};

constexpr std::array kOtherPathNames{"library-version", "slot-id", "id", "type"};
constexpr std::array kQueryNames{"pin-source", "pin-value", "module-name", "module-path"};

// The URI itself is never part of a message: it may hold a PIN.
[[noreturn]] void fail(std::size_t position, const std::string& cause) {
  throw Error(Kind::usage,
              fmt::format("read the PKCS#11 URI: {} (at position {})", cause, position));
}

enum class Part { path, query };

// One name=value as it stands in the URI. Positions count bytes from 1.
struct Attribute {
  std::string_view name;
  std::string_view value;
  std::size_t position;
  std::size_t value_position;
  Part part;
};

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// RFC 3986, 2.3.
bool is_unreserved(char c) {
  return is_alphanumeric(c) || std::string_view("-._~").find(c) != std::string_view::npos;
}

// RFC 7512, 2.3: what may stand in a value as it is.
bool may_stand(char c, Part part) {
  const std::string_view reserved = part == Part::path ? ":[]@!$'()*+,=&" : ":[]@!$'()*+,=/?|";
  return is_unreserved(c) || reserved.find(c) != std::string_view::npos;
}

std::string decode(const Attribute& attribute) {
  const std::string_view value = attribute.value;
  std::string out;
  out.reserve(value.size());  // a PIN must not be left behind by a reallocation
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::size_t position = attribute.value_position + i;
    if (value[i] == '%') {
      const std::string_view digits = value.substr(i + 1, 2);
      const auto byte = digits.size() == 2 ? parse_hex(digits) : std::nullopt;
      if (!byte) fail(position, "'%' is not followed by two hex digits");
      out += static_cast<char>(byte->front());
      i += 2;
    } else if (may_stand(value[i], attribute.part)) {
      out += value[i];
    } else {
      fail(position, fmt::format("a character of {} must be written as %{:02X}",
                                 quoted(attribute.name), static_cast<unsigned char>(value[i])));
    }
  }
  return out;
}

template <typename Number>
Number parse_number(std::string_view digits, const Attribute& attribute) {
  Number number{};
  const char* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, number);
  if (digits.empty() || error != std::errc() || rest != end) {
    fail(attribute.value_position,
         fmt::format("{} is not a number that PKCS#11 can hold there", quoted(attribute.value)));
  }
  return number;
}

LibraryVersion parse_version(const Attribute& attribute) {
  const std::size_t dot = attribute.value.find('.');
  LibraryVersion version;
  version.major_part = parse_number<unsigned char>(attribute.value.substr(0, dot), attribute);
  if (dot != std::string_view::npos) {
    version.minor_part = parse_number<unsigned char>(attribute.value.substr(dot + 1), attribute);
  }
  return version;
}

ObjectType parse_type(const Attribute& attribute) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& entry) {
    return attribute.value == entry.first;
  });
  if (found != kTypes.end()) return found->second;
  fail(attribute.value_position, fmt::format("type is one of cert, data, private, public, "
                                             "secret-key, not {}",
                                             quoted(attribute.value)));
}

[[noreturn]] void fail_unknown(const Attribute& attribute) {
  std::vector<std::string> known(kQueryNames.begin(), kQueryNames.end());
  if (attribute.part == Part::path) {
    known.assign(kOtherPathNames.begin(), kOtherPathNames.end());
    for (const TextAttribute& text : kTexts) known.emplace_back(text.name);
  }
  std::string cause = fmt::format("there is no attribute {}", quoted(attribute.name));
  const bool belongs_after =
      std::find(kQueryNames.begin(), kQueryNames.end(), attribute.name) != kQueryNames.end();
  if (belongs_after) {
    cause = fmt::format("{} belongs after a '?'", quoted(attribute.name));
  } else if (const auto nearest = did_you_mean(attribute.name, known)) {
    cause += fmt::format(", did you mean {}?", quoted(*nearest));
  }
  fail(attribute.position, cause);
}

// RFC 7512, 3 has a token with a name of 34 bytes among its examples, one letter of it beyond
// ASCII: so only ASCII is measured. What else is too long is found to match nothing.
bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

void take_path_attribute(Uri& uri, const Attribute& attribute) {
  const auto* text = std::find_if(kTexts.begin(), kTexts.end(), [&](const TextAttribute& entry) {
    return attribute.name == entry.name;
  });
  if (text != kTexts.end()) {
    std::string value = decode(attribute);
    if (text->field_size != 0 && is_ascii(value) && value.size() > text->field_size) {
      fail(attribute.value_position,
           fmt::format("{} has {} bytes and so can match nothing: the field has {}",
                       quoted(attribute.name), value.size(), text->field_size));
    }
    uri.*(text->member) = std::move(value);
  } else if (attribute.name == "id") {
    uri.id = to_bytes(as_bytes(decode(attribute)));
  } else if (attribute.name == "type") {
    uri.type = parse_type(attribute);
  } else if (attribute.name == "slot-id") {
    uri.slot_id = parse_number<unsigned long>(attribute.value, attribute);
  } else if (attribute.name == "library-version") {
    uri.library_version = parse_version(attribute);
  } else {
    fail_unknown(attribute);
  }
}

// A path or a name for the operating system, where a NUL would hide what follows it.
std::string decode_name(const Attribute& attribute) {
  std::string value = decode(attribute);
  if (value.find('\0') != std::string::npos) {
    fail(attribute.value_position, fmt::format("{} holds a NUL", quoted(attribute.name)));
  }
  return value;
}

void take_query_attribute(Uri& uri, const Attribute& attribute) {
  if (attribute.name == "pin-source") {
    uri.pin_source = decode_name(attribute);
  } else if (attribute.name == "pin-value") {
    uri.pin_value = Secret::take(decode(attribute));
  } else if (attribute.name == "module-name") {
    uri.module_name = decode_name(attribute);
  } else if (attribute.name == "module-path") {
    uri.module_path = decode_name(attribute);
  } else {
    fail_unknown(attribute);
  }
}

void take_attribute(Uri& uri, const Attribute& attribute) {
  if (attribute.name.starts_with("x-")) {
    decode(attribute);  // only for its refusals
  } else if (attribute.part == Part::path) {
    take_path_attribute(uri, attribute);
  } else {
    take_query_attribute(uri, attribute);
  }
}

// The attributes of one part, which begins at byte `start` of the URI.
void take_part(Uri& uri, std::string_view text, std::size_t start, Part part) {
  if (text.empty()) return;
  std::vector<std::string_view> seen;
  const char separator = part == Part::path ? ';' : '&';
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    const std::string_view pair = text.substr(begin, end - begin);
    const std::size_t position = start + begin + 1;
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) fail(position, "an attribute is written name=value");
    const std::string_view name = pair.substr(0, equals);
    const bool repeated = std::find(seen.begin(), seen.end(), name) != seen.end();
    // RFC 7512, 2.3: in the query, and only there, a vendor's attribute may come again.
    if (repeated && !(part == Part::query && name.starts_with("x-"))) {
      fail(position, fmt::format("{} is given twice", quoted(name)));
    }
    seen.push_back(name);
    take_attribute(uri, {name, pair.substr(equals + 1), position, position + equals + 1, part});
    begin = end + 1;
  }
}

std::string encode(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string encode_every_byte(ByteView bytes) {
  std::string out;
  for (unsigned char byte : bytes) fmt::format_to(std::back_inserter(out), "%{:02X}", byte);
  return out;
}

// RFC 7512, 2.4 knows files as file:PATH and as PATH alone; another scheme is no file.
bool names_a_file(std::string_view pin_source) {
  if (pin_source.starts_with('|')) return false;
  const std::size_t colon = pin_source.find(':');
  if (colon == std::string_view::npos || pin_source.find('/') < colon) return true;
  return lower(pin_source.substr(0, colon)) == "file";
}

}  // namespace

bool is_uri(std::string_view text) { return lower(text.substr(0, kScheme.size())) == kScheme; }

Uri parse_uri(std::string_view text) {
  if (!is_uri(text)) fail(1, "it does not begin with \"pkcs11:\"");
  const std::size_t path_end = std::min(text.find('?'), text.size());
  const std::string_view path = text.substr(0, path_end);
  Uri uri;
  take_part(uri, path.substr(kScheme.size()), kScheme.size(), Part::path);
  if (path_end < text.size()) {
    take_part(uri, text.substr(path_end + 1), path_end + 1, Part::query);
  }
  if (uri.pin_source && uri.pin_value) {
    fail(path_end + 1, "pin-source and pin-value exclude each other");
  }
  return uri;
}

void refuse_unsafe(const Uri& uri) {
  if (uri.module_path) {
    throw Error(Kind::refused,
                fmt::format("use the URI: its module-path would load {}", quoted(*uri.module_path)))
        .hint("leave module-path out and name the library with --module");
  }
  if (uri.pin_source && !names_a_file(*uri.pin_source)) {
    throw Error(Kind::refused, "use the URI: its pin-source is not a file")
        .hint("leave pin-source out and give --pin-source");
  }
}

std::string format(const Uri& uri) {
  std::vector<std::string> parts;
  const auto add = [&parts](const char* name, const std::optional<std::string>& value) {
    if (value) parts.push_back(fmt::format("{}={}", name, encode(*value)));
  };
  for (const TextAttribute& text : kTexts) {
    if (text.member != &Uri::object) add(text.name, uri.*(text.member));
    if (text.member == &Uri::library_description && uri.library_version) {
      parts.push_back(fmt::format("library-version={}.{}", uri.library_version->major_part,
                                  uri.library_version->minor_part));
    }
  }
  if (uri.slot_id) parts.push_back(fmt::format("slot-id={}", *uri.slot_id));
  if (uri.id) parts.push_back("id=" + encode_every_byte(*uri.id));
  add("object", uri.object);
  if (uri.type) {
    const auto* type = std::find_if(kTypes.begin(), kTypes.end(),
                                    [&](const auto& entry) { return entry.second == *uri.type; });
    parts.push_back(fmt::format("type={}", type->first));
  }
  return fmt::format("{}{}", kScheme, fmt::join(parts, ";"));
}

}  // namespace hsmith::tokens
