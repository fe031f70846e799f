#include "src/x509/inf_reader.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/text.h"

namespace hsmith::x509 {

void InfReader::refuse(const InfEntry& entry, std::string_view cause) const {
  refuse_inf(document, entry.line, fmt::format("{}: {}", printable(entry.key, 60), cause));
}

bool is_true(const InfEntry& entry, const InfReader& reader) {
  const std::string word = lower(trim(entry.value));
  if (word == "true" || word == "1" || word == "yes") return true;
  if (word == "false" || word == "0" || word == "no") return false;
  reader.refuse(entry, "it must be TRUE or FALSE");
}

unsigned long number_of(const InfEntry& entry, const InfReader& reader) {
  const std::string text(trim(entry.value));
  std::size_t end = 0;
  unsigned long number = 0;
  try {
    number = std::stoul(text, &end, 0);
  } catch (const std::exception&) {
    end = 0;
  }
  if (end == 0 || end != text.size()) reader.refuse(entry, "it must be a number");
  return number;
}

const InfEntry* find(const InfSection& section, std::string_view key) {
  const auto found = std::find_if(section.entries.begin(), section.entries.end(),
                                  [&](const InfEntry& entry) { return lower(entry.key) == key; });
  return found == section.entries.end() ? nullptr : &*found;
}

}  // namespace hsmith::x509
