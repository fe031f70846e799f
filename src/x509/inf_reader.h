// What the readers of a [NewRequest] document's sections share.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "src/x509/inf.h"
#include "src/x509/request_template.h"

namespace hsmith::x509 {

// A document that is being read: what was found so far.
struct InfReader {
  const std::string& document;
  RequestTemplate wanted{};
  std::vector<std::string> passed_over{};
  std::set<std::string> critical{};  // OIDs

  // Throws configuration with the document, the entry's line and its key.
  [[noreturn]] void refuse(const InfEntry& entry, std::string_view cause) const;
};

// TRUE or FALSE, and a number in C's notation. Both refuse what is none.
bool is_true(const InfEntry& entry, const InfReader& reader);
unsigned long number_of(const InfEntry& entry, const InfReader& reader);
// The entry with this key, in lower case; nullptr: there is none.
const InfEntry* find(const InfSection& section, std::string_view key);

// [EnhancedKeyUsageExtension] and [Extensions]. Both refuse what they do not know.
void read_inf_purposes(const InfSection& section, InfReader& reader);
void read_inf_extensions(const InfSection& section, InfReader& reader);

}  // namespace hsmith::x509
