// [EnhancedKeyUsageExtension] and [Extensions] of a [NewRequest] document.
#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <memory>

#include "src/base/base64.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/inf_reader.h"

namespace hsmith::x509 {
namespace {

void add_purposes(const std::string& list, const InfEntry& entry, InfReader& reader) {
  auto& purposes = reader.wanted.wishes.extended_key_usage;
  try {
    for (std::string& purpose : parse_extended_key_usage(list)) {
      if (std::find(purposes.begin(), purposes.end(), purpose) == purposes.end())
        purposes.push_back(std::move(purpose));
    }
  } catch (const Error& error) {
    reader.refuse(entry, error.what());
  }
}

// "dns=www.example.com&ipaddress=192.0.2.1"
void read_names(std::string_view text, const InfEntry& entry, InfReader& reader) {
  static constexpr std::array<std::pair<std::string_view, const char*>, 8> kKinds{
      {{"dns", "dns"},
       {"ipaddress", "ip"},
       {"ip", "ip"},
       {"email", "email"},
       {"url", "uri"},
       {"uri", "uri"},
       {"upn", "upn"},
       {"rfc822name", "email"}}};
  for (const std::string& part : split(text, '&')) {
    if (trim(part).empty()) continue;
    const std::size_t equals = part.find('=');
    const std::string kind = lower(trim(std::string_view(part).substr(0, equals)));
    const auto known = std::find_if(kKinds.begin(), kKinds.end(),
                                    [&](const auto& one) { return one.first == kind; });
    if (equals == std::string::npos || known == kKinds.end()) {
      reader.refuse(entry, fmt::format("{}: known are dns=, ipaddress=, email=, upn= and url=",
                                       quoted(part)));
    }
    try {
      for (AltName& name :
           parse_alt_names(fmt::format("{}:{}", known->second, trim(part.substr(equals + 1))),
                           reader.wanted.notices))
        reader.wanted.wishes.names.push_back(std::move(name));
    } catch (const Error& error) {
      reader.refuse(entry, error.what());
    }
  }
}

// "ca=1&pathlength=0"
Bytes constraints_of(std::string_view text, const InfEntry& entry, const InfReader& reader) {
  using Constraints = std::unique_ptr<BASIC_CONSTRAINTS, ossl::Deleter<BASIC_CONSTRAINTS_free>>;
  const Constraints constraints(ossl::check_ptr(BASIC_CONSTRAINTS_new(), "make basic constraints"));
  for (const std::string& part : split(text, '&')) {
    if (trim(part).empty()) continue;
    const std::size_t equals = part.find('=');
    const std::string key = lower(trim(std::string_view(part).substr(0, equals)));
    const InfEntry value{entry.key, equals == std::string::npos ? "" : part.substr(equals + 1),
                         entry.line};
    if (key == "ca") {
      constraints->ca = is_true(value, reader) ? 0xff : 0;
    } else if (key == "pathlength") {
      constraints->pathlen = ossl::check_ptr(ASN1_INTEGER_new(), "make a number");
      ossl::check(ASN1_INTEGER_set_uint64(constraints->pathlen, number_of(value, reader)) == 1,
                  "make a number");
    } else {
      reader.refuse(entry, fmt::format("{}: known are ca= and pathlength=", quoted(part)));
    }
  }
  return ossl::der_of(i2d_BASIC_CONSTRAINTS, constraints.get());
}

// An extension's DER in hexadecimal after {hex}, else in Base64.
Bytes der_of(const InfEntry& entry, const InfReader& reader) {
  std::string text(trim(entry.value));
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t'; });
  if (lower(text.substr(0, 5)) == "{hex}") {
    const auto bytes = parse_hex(text.substr(5));
    if (!bytes) reader.refuse(entry, "after {hex} pairs of hexadecimal digits must stand");
    return *bytes;
  }
  if (!text.empty() && text.front() == '{')
    reader.refuse(entry, fmt::format("{}: hsmith reads {{text}}, {{hex}} and Base64",
                                     quoted(text.substr(0, text.find('}') + 1))));
  const auto bytes = parse_base64(text);
  if (!bytes || bytes->empty())
    reader.refuse(entry, "its value is neither {text}, {hex} nor Base64");
  return *bytes;
}

void read_extension(const InfEntry& entry, InfReader& reader) {
  const std::string text(trim(entry.value));
  const bool as_words = lower(text.substr(0, 6)) == "{text}";
  const std::string words = as_words ? text.substr(6) : "";
  if (as_words && entry.key == "2.5.29.17") return read_names(words, entry, reader);
  if (as_words && entry.key == "2.5.29.37") return add_purposes(words, entry, reader);
  const bool critical = reader.critical.contains(entry.key);
  try {
    Bytes der = as_words && entry.key == "2.5.29.19" ? constraints_of(words, entry, reader)
                                                     : der_of(entry, reader);
    reader.wanted.wishes.extra.push_back(extra_extension(entry.key, critical, std::move(der)));
  } catch (const Error& error) {
    if (error.kind() == Kind::configuration) throw;
    reader.refuse(entry, error.what());
  }
}

}  // namespace

void read_inf_purposes(const InfSection& section, InfReader& reader) {
  for (const InfEntry& entry : section.entries) {
    if (lower(entry.key) != "oid") reader.refuse(entry, "only OID = ... may stand here");
    add_purposes(entry.value, entry, reader);
  }
}

void read_inf_extensions(const InfSection& section, InfReader& reader) {
  if (const InfEntry* critical = find(section, "critical")) {
    for (const std::string& oid : split(critical->value, ','))
      reader.critical.insert(std::string(trim(oid)));
  }
  for (const InfEntry& entry : section.entries) {
    if (lower(entry.key) != "critical") read_extension(entry, reader);
  }
}

}  // namespace hsmith::x509
