// The INF form of Windows set-up files, as far as certreq uses it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"

namespace hsmith::x509 {

// "key = value": quotes taken off, strings of [Strings] put in, _continue_ joined on.
struct InfEntry {
  std::string key;
  std::string value;
  int line = 0;
};

struct InfSection {
  std::string name;
  int line = 0;
  std::vector<InfEntry> entries;
};

// Throws configuration: "read <document>, line <n>: <cause>".
[[noreturn]] void refuse_inf(std::string_view document, int line, std::string_view cause,
                             std::string hint = "");

// UTF-8, or UTF-16 with a byte order mark, as UTF-8. Throws configuration for anything else.
std::string inf_text(ByteView content, std::string_view document);

// True for text with a section [NewRequest].
bool looks_like_inf(std::string_view text);

// All sections but [Strings], in their order. Throws configuration.
std::vector<InfSection> parse_inf(std::string_view text, std::string_view document);

}  // namespace hsmith::x509
