#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/lint_parts.h"
#include "src/x509/name.h"

namespace hsmith::x509 {
namespace {

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

// What tools put there when nobody fills it in.
bool is_placeholder(std::string_view value) {
  static constexpr std::array<std::string_view, 7> kDefaults{
      "Some-State", "Internet Widgits Pty Ltd", "Default City", "Default Company Ltd",
      "XX",         "Example Company",          "SomeState"};
  return std::find(kDefaults.begin(), kDefaults.end(), value) != kDefaults.end();
}

// The codes of ISO 3166-1.
bool is_country(std::string_view code) {
  static constexpr std::string_view kCodes =
      "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCL"
      "CMCNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGU"
      "GWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMC"
      "MDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPT"
      "PWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUA"
      "UGUMUSUYUZVAVCVEVGVIVNVUWFWSYEYTZAZMZW";
  for (std::size_t at = 0; at < kCodes.size(); at += 2) {
    if (kCodes.substr(at, 2) == code) return true;
  }
  return false;
}

void lint_country(const std::string& value, Findings& findings) {
  const bool form =
      value.size() == 2 && value[0] >= 'A' && value[0] <= 'Z' && value[1] >= 'A' && value[1] <= 'Z';
  if (!form) {
    add_finding(findings, Severity::error, "country_form",
                fmt::format("the country {} is not two capital letters", quoted(value)));
  } else if (!is_country(value) && value != "XX") {  // XX: a placeholder
    add_finding(findings, Severity::error, "country_unknown",
                fmt::format("the country {} is none of ISO 3166{}", value,
                            value == "UK" ? ": the United Kingdom is GB" : ""));
  }
}

// The bounds of RFC 5280, A.1, for the fields that people fill in.
std::size_t bound_of(std::string_view type) {
  if (type == "CN" || type == "O" || type == "OU" || type == "title" || type == "serialNumber") {
    return 64;
  }
  if (type == "L" || type == "ST" || type == "STREET") return 128;
  return type == "emailAddress" ? 255 : 32768;
}

void lint_part(const SubjectPart& part, Findings& findings) {
  const std::string field =
      fmt::format("the subject's field {} = {}", part.type, quoted(part.value));
  if (part.type == "C") lint_country(part.value, findings);
  const std::size_t star = part.type == "CN" ? part.value.rfind('*') : std::string::npos;
  if (star != std::string::npos && (star != 0 || part.value.substr(0, 2) != "*.")) {
    add_finding(findings, Severity::error, "wildcard_misplaced",
                fmt::format("{}: a '*' may stand only for the whole left-most label", field));
  }
  if (characters(part.value) > bound_of(part.type)) {
    add_finding(findings, Severity::error, "value_too_long",
                fmt::format("{} has more than {} characters", field, bound_of(part.type)));
  }
  if (trim(part.value) != part.value || part.value.empty()) {
    add_finding(findings, Severity::warning, "value_spaces",
                fmt::format("{} is empty, or has spaces at an end", field));
  } else if (part.value.find_first_not_of(" .-_*?") == std::string::npos) {
    add_finding(findings, Severity::warning, "value_meaningless",
                fmt::format("{} says nothing", field));
  }
  if (printable(part.value, part.value.size() + 1) != part.value &&
      part.value.find('\\') == std::string::npos) {
    add_finding(findings, Severity::error, "value_invisible",
                fmt::format("{} holds invisible characters", field));
  }
  if (is_placeholder(part.value)) {
    add_finding(findings, Severity::warning, "value_placeholder",
                fmt::format("{} is what a tool puts there by default", field));
  }
}

void lint_string_types(const X509_NAME* subject, Findings& findings) {
  for (int i = 0; i < X509_NAME_entry_count(subject); ++i) {
    const int type = ASN1_STRING_type(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
    if (type == V_ASN1_T61STRING || type == V_ASN1_BMPSTRING || type == V_ASN1_UNIVERSALSTRING) {
      add_finding(
          findings, Severity::warning, "value_old_string_type",
          "the subject uses a string type that RFC 5280 no longer allows for new certificates");
      return;
    }
  }
}

// The country and the common name as the profile wants them.
void lint_values_for(const SubjectPart& part, const Profile& profile, Findings& findings) {
  if (part.type == "C" && !profile.countries.empty() && !contains(profile.countries, part.value)) {
    add_finding(findings, Severity::error, "country_not_allowed",
                fmt::format("the profile {} needs the country {}, not {}", profile.name,
                            fmt::join(profile.countries, " or "), quoted(part.value)));
  }
  if (part.type != "CN" || !profile.host_name) return;
  try {
    std::vector<std::string> unused;
    dns_name(part.value, unused);
  } catch (const Error& error) {
    add_finding(findings, Severity::error, "common_name_no_host",
                fmt::format("the profile {} needs a server name as common name: {}", profile.name,
                            error.what()));
  }
}

void lint_subject_for(const std::vector<SubjectPart>& parts, const std::vector<std::string>& types,
                      const Profile& profile, Findings& findings) {
  for (const SubjectPart& part : parts) lint_values_for(part, profile, findings);
  for (const std::string& type : profile.required_parts) {
    if (!contains(types, type)) {
      add_finding(findings, Severity::error, "field_missing",
                  fmt::format("the profile {} needs the subject's field {}", profile.name, type));
    }
  }
  for (const std::string& type : profile.forbidden_parts) {
    if (contains(types, type)) {
      add_finding(findings, Severity::error, "field_forbidden",
                  fmt::format("the profile {} forbids the subject's field {}", profile.name, type));
    }
  }
}

}  // namespace

void lint_subject(const LintView& view, const Profile* profile, Findings& findings) {
  const std::vector<SubjectPart> parts = name_parts(view.subject);
  if (parts.empty() && view.names.empty()) {
    add_finding(findings, Severity::error, "no_name",
                "there is neither a subject nor another name");
  }
  std::vector<std::string> types;
  for (const SubjectPart& part : parts) {
    lint_part(part, findings);
    types.push_back(part.type);
  }
  lint_string_types(view.subject, findings);
  if (std::count(types.begin(), types.end(), "CN") > 1) {
    add_finding(findings, Severity::warning, "several_common_names",
                "the subject has several common names");
  }
  if (contains(types, "C") && types.front() != "C" && types.back() == "C") {
    add_finding(findings, Severity::warning, "subject_order",
                "the subject begins with its most specific field and ends with the country: "
                "RFC 4514 text is written the other way round, CN=...,C=...");
  }
  if (profile != nullptr) lint_subject_for(parts, types, *profile, findings);
}

}  // namespace hsmith::x509
