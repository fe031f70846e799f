#include "src/x509/inf.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::x509 {
namespace {

using Strings = std::map<std::string, std::string>;  // names in lower case

void add_utf8(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xc0 | (c >> 6));
    text += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    text += static_cast<char>(0xe0 | (c >> 12));
    text += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    text += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    text += static_cast<char>(0xf0 | (c >> 18));
    text += static_cast<char>(0x80 | ((c >> 12) & 0x3f));
    text += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    text += static_cast<char>(0x80 | (c & 0x3f));
  }
}

std::string from_utf16(ByteView content, bool little_endian) {
  std::string text;
  char32_t high = 0;
  for (std::size_t at = 2; at + 1 < content.size(); at += 2) {
    const unsigned char first = content[little_endian ? at + 1 : at];
    const char32_t unit = static_cast<char32_t>(first) << 8 | content[little_endian ? at : at + 1];
    if (unit >= 0xd800 && unit < 0xdc00) {
      high = unit;
    } else if (unit >= 0xdc00 && unit < 0xe000) {
      add_utf8(text, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
    } else {
      add_utf8(text, unit);
    }
  }
  return text;
}

// Without the comment at its end: what follows a ';' outside of quotes.
std::string_view without_comment(std::string_view line) {
  bool in_quotes = false;
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (line[at] == '"') in_quotes = !in_quotes;
    if (line[at] == ';' && !in_quotes) return line.substr(0, at);
  }
  return line;
}

// Takes quotes off: inside of them two quotes are one.
std::string unquoted(std::string_view value, std::string_view document, int line) {
  std::string text;
  bool in_quotes = false;
  for (std::size_t at = 0; at < value.size(); ++at) {
    if (value[at] != '"') {
      text += value[at];
    } else if (in_quotes && at + 1 < value.size() && value[at + 1] == '"') {
      text += value[++at];
    } else {
      in_quotes = !in_quotes;
    }
  }
  if (in_quotes) refuse_inf(document, line, "a quotation mark is not closed");
  return text;
}

// %name% of [Strings], %% for a percent sign; what is neither stays.
std::string with_strings(std::string_view text, const Strings& strings) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::size_t end = text[at] == '%' ? text.find('%', at + 1) : std::string_view::npos;
    if (end == std::string_view::npos) {
      out += text[at];
      continue;
    }
    const auto found = strings.find(lower(text.substr(at + 1, end - at - 1)));
    if (end == at + 1) {
      out += '%';
    } else if (found != strings.end()) {
      out += found->second;
    } else {
      out += text[at];
      continue;
    }
    at = end;
  }
  return out;
}

void add_line(InfSection& section, std::string_view line, int number, std::string_view document) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) {
    refuse_inf(document, number, fmt::format("expected a key and '=', not {}", quoted(line)));
  }
  InfEntry entry{unquoted(trim(line.substr(0, equals)), document, number),
                 unquoted(trim(line.substr(equals + 1)), document, number), number};
  if (lower(entry.key) != "_continue_") {
    section.entries.push_back(std::move(entry));
  } else if (section.entries.empty()) {
    refuse_inf(document, number, "_continue_ has nothing to continue");
  } else {
    section.entries.back().value += entry.value;
  }
}

std::vector<InfSection> sections_of(std::string_view text, std::string_view document) {
  std::vector<InfSection> sections;
  int number = 0;
  for (const std::string& whole : split(text, '\n')) {
    ++number;
    const std::string_view line = trim(without_comment(whole));
    if (line.empty()) continue;
    if (line.front() != '[') {
      if (sections.empty())
        refuse_inf(document, number, "a section such as [NewRequest] is missing");
      add_line(sections.back(), line, number, document);
      continue;
    }
    if (line.back() != ']') refuse_inf(document, number, "a ']' is missing");
    sections.push_back({std::string(trim(line.substr(1, line.size() - 2))), number, {}});
  }
  return sections;
}

}  // namespace

void refuse_inf(std::string_view document, int line, std::string_view cause, std::string hint) {
  throw Error(Kind::configuration, fmt::format("read {}, line {}: {}", document, line, cause))
      .hint(std::move(hint));
}

std::string inf_text(ByteView content, std::string_view document) {
  const auto begins_with = [&](std::initializer_list<unsigned char> mark) {
    return content.size() >= mark.size() && std::equal(mark.begin(), mark.end(), content.begin());
  };
  std::string text;
  if (begins_with({0xff, 0xfe})) {
    text = from_utf16(content, true);
  } else if (begins_with({0xfe, 0xff})) {
    text = from_utf16(content, false);
  } else {
    text = as_text(begins_with({0xef, 0xbb, 0xbf}) ? content.subspan(3) : content);
  }
  if (!is_utf8(text) || text.find('\0') != std::string::npos) {
    throw Error(Kind::configuration,
                fmt::format("read {}: it is neither UTF-8 nor UTF-16 text", document));
  }
  return text;
}

bool looks_like_inf(std::string_view text) {
  const std::vector<std::string> lines = split(text, '\n');
  return std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    return lower(trim(without_comment(line))) == "[newrequest]";
  });
}

std::vector<InfSection> parse_inf(std::string_view text, std::string_view document) {
  std::vector<InfSection> sections = sections_of(text, document);
  Strings strings;
  for (const InfSection& section : sections) {
    if (lower(section.name) != "strings") continue;
    for (const InfEntry& entry : section.entries) strings[lower(entry.key)] = entry.value;
  }
  std::erase_if(sections, [](const auto& one) { return lower(one.name) == "strings"; });
  for (InfSection& section : sections) {
    for (InfEntry& entry : section.entries) {
      entry.key = with_strings(entry.key, strings);
      entry.value = with_strings(entry.value, strings);
    }
  }
  return sections;
}

}  // namespace hsmith::x509
