#include "src/x509/request_inf.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <set>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/inf_reader.h"
#include "src/x509/name.h"

namespace hsmith::x509 {
namespace {

// What stands in [NewRequest] and says something only to Windows, or of a key that is made there.
constexpr std::array<std::string_view, 20> kWindowsOnly{"keyspec",
                                                        "machinekeyset",
                                                        "providername",
                                                        "providertype",
                                                        "silent",
                                                        "userprotected",
                                                        "friendlyname",
                                                        "keycontainer",
                                                        "useexistingkeyset",
                                                        "suppressdefaults",
                                                        "smime",
                                                        "requestername",
                                                        "keyusageproperty",
                                                        "readerkey",
                                                        "securitydescriptor",
                                                        "pinname",
                                                        "reader",
                                                        "containernameprefix",
                                                        "validityperiod",
                                                        "validityperiodunits"};

constexpr std::array<std::string_view, 11> kTaken{
    "subject",           "keylength",
    "keyalgorithm",      "hashalgorithm",
    "keyusage",          "requesttype",
    "exportable",        "exportableencrypted",
    "privatekeyarchive", "alternatesignaturealgorithm",
    "x500nameflags"};

// CertStrToName's text as RFC 4514: values in quotes, ';' between fields, "OID." before an OID.
// With `only_semicolons` a comma belongs to the value.
std::string rfc4514_of(std::string_view text, bool only_semicolons) {
  std::string out;
  bool in_quotes = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const bool doubled = c == '"' && in_quotes && at + 1 < text.size() && text[at + 1] == '"';
    const bool special = std::string_view("+,;<>#\\").find(c) != std::string_view::npos;
    if (doubled) {
      out += "\\\"";
      ++at;
    } else if (c == '"') {
      in_quotes = !in_quotes;
    } else if ((in_quotes && special) || (!in_quotes && only_semicolons && c == ',')) {
      out += std::string("\\") + c;
    } else if (c == ';' || c == '\n') {
      out += ',';
    } else {
      out += c;
    }
  }
  std::string cleaned;
  for (std::size_t at = 0; at < out.size(); ++at) {
    const bool begins = cleaned.empty() || trim(cleaned).back() == ',' || cleaned.back() == '+';
    if (begins && lower(std::string_view(out).substr(at, 4)) == "oid.") at += 4;
    cleaned += out[at];
  }
  return cleaned;
}

void read_subject(const InfSection& section, InfReader& reader) {
  const InfEntry* entry = find(section, "subject");
  const InfEntry* flags = find(section, "x500nameflags");
  constexpr unsigned long kSemicolons = 0x40000000;  // CERT_NAME_STR_SEMICOLON_FLAG
  const unsigned long bits = flags == nullptr ? 0 : number_of(*flags, reader);
  if ((bits & ~kSemicolons) != 0) {
    reader.wanted.notices.push_back(fmt::format(
        "X500NameFlags: passed over, but for semicolons: the subject is read as it is written"));
  }
  if (entry == nullptr || trim(entry->value).empty()) return;
  try {
    reader.wanted.subject = parse_name(rfc4514_of(trim(entry->value), (bits & kSemicolons) != 0));
  } catch (const Error& error) {
    refuse_inf(reader.document, entry->line, error.what(), error.hint());
  }
}

void read_key(const InfSection& section, InfReader& reader) {
  const InfEntry* length = find(section, "keylength");
  const InfEntry* algorithm = find(section, "keyalgorithm");
  if (length == nullptr && algorithm == nullptr) return;
  const std::string name = algorithm == nullptr ? "rsa" : lower(trim(algorithm->value));
  const std::string bits = length == nullptr ? "" : std::string(trim(length->value));
  if (name == "rsa" || name == "1.2.840.113549.1.1.1") {
    reader.wanted.key_type = "rsa:" + (bits.empty() ? "2048" : bits);
    return;
  }
  const std::string curve =
      name.rfind("_p") == std::string::npos ? bits : name.substr(name.rfind("_p") + 2);
  const bool elliptic = name.rfind("ecdsa", 0) == 0 || name.rfind("ecdh", 0) == 0 || name == "ecc";
  if (!elliptic || (curve != "256" && curve != "384" && curve != "521")) {
    reader.refuse(algorithm == nullptr ? *length : *algorithm,
                  "known are RSA, and ECDSA_P256, ECDSA_P384, ECDSA_P521 or ECDH_ in their place");
  }
  reader.wanted.key_type = "ec:p" + curve;
}

void read_digest(const InfEntry& entry, InfReader& reader) {
  std::string name = lower(trim(entry.value));
  std::erase(name, '-');
  if (name == "sha256" || name == "sha384" || name == "sha512") {
    reader.wanted.digest = name;
    return;
  }
  throw Error(Kind::refused, fmt::format("read {}, line {}: HashAlgorithm = {}: no authority takes "
                                         "such a request",
                                         reader.document, entry.line, quoted(trim(entry.value))))
      .hint("write HashAlgorithm = sha256");
}

void read_request_type(const InfEntry& entry, const InfReader& reader) {
  const std::string type = lower(trim(entry.value));
  if (type == "pkcs10" || type == "pkcs10-") return;
  throw Error(Kind::unsupported, fmt::format("read {}, line {}: RequestType = {}: hsmith writes "
                                             "PKCS10",
                                             reader.document, entry.line, quoted(entry.value)))
      .hint(type == "pkcs7" ? "a renewal in PKCS#7: hsmith renew NAME --format pkcs7"
                            : "write RequestType = PKCS10");
}

// The flags of wincrypt.h, by value or by name, joined with '|'.
void read_key_usage(const InfEntry& entry, InfReader& reader) {
  struct Flag {
    unsigned long bit;
    const char* windows;
    const char* usage;
  };
  static constexpr std::array<Flag, 9> kFlags{{
      {0x80, "cert_digital_signature_key_usage", "digitalSignature"},
      {0x40, "cert_non_repudiation_key_usage", "nonRepudiation"},
      {0x20, "cert_key_encipherment_key_usage", "keyEncipherment"},
      {0x10, "cert_data_encipherment_key_usage", "dataEncipherment"},
      {0x08, "cert_key_agreement_key_usage", "keyAgreement"},
      {0x04, "cert_key_cert_sign_key_usage", "keyCertSign"},
      {0x02, "cert_crl_sign_key_usage", "cRLSign"},
      {0x01, "cert_encipher_only_key_usage", "encipherOnly"},
      {0x8000, "cert_decipher_only_key_usage", "decipherOnly"},
  }};
  unsigned long bits = 0;
  for (const std::string& part : split(entry.value, '|')) {
    const std::string word = lower(trim(part));
    const auto named = std::find_if(kFlags.begin(), kFlags.end(),
                                    [&](const Flag& flag) { return word == flag.windows; });
    bits |= named != kFlags.end() ? named->bit
                                  : number_of({entry.key, std::string(word), entry.line}, reader);
  }
  for (const Flag& flag : kFlags) {
    if ((bits & flag.bit) != 0) reader.wanted.wishes.key_usage.emplace_back(flag.usage);
    bits &= ~flag.bit;
  }
  if (bits != 0) reader.refuse(entry, fmt::format("0x{:x} is no key usage", bits));
}

void read_entry(const InfEntry& entry, InfReader& reader) {
  const std::string key = lower(entry.key);
  if (key == "hashalgorithm") return read_digest(entry, reader);
  if (key == "keyusage") return read_key_usage(entry, reader);
  if (key == "requesttype") return read_request_type(entry, reader);
  if (key == "exportable" || key == "exportableencrypted") {
    if (is_true(entry, reader)) {
      reader.wanted.notices.push_back(fmt::format(
          "{} = TRUE is passed over: a key on a token never leaves it", printable(entry.key)));
    }
    return;
  }
  if (key == "alternatesignaturealgorithm") {
    if (is_true(entry, reader)) reader.wanted.scheme = "pss";
    return;
  }
  if (key == "privatekeyarchive") {
    reader.wanted.archive = is_true(entry, reader);
    return;
  }
  if (std::find(kTaken.begin(), kTaken.end(), key) != kTaken.end()) return;
  if (std::find(kWindowsOnly.begin(), kWindowsOnly.end(), key) != kWindowsOnly.end()) {
    reader.passed_over.push_back(printable(entry.key));
    return;
  }
  std::vector<std::string> known(kTaken.begin(), kTaken.end());
  known.insert(known.end(), kWindowsOnly.begin(), kWindowsOnly.end());
  const auto near = did_you_mean(key, known);
  refuse_inf(reader.document, entry.line, fmt::format("{} is not known", quoted(entry.key)),
             near ? fmt::format("did you mean {}?", *near) : "");
}

void read_new_request(const InfSection& section, InfReader& reader) {
  std::set<std::string> seen;
  for (const InfEntry& entry : section.entries) {
    if (!seen.insert(lower(entry.key)).second) reader.refuse(entry, "it stands there twice");
    read_entry(entry, reader);
  }
  read_subject(section, reader);
  read_key(section, reader);
}

}  // namespace

RequestTemplate request_from_inf(const std::vector<InfSection>& sections,
                                 const std::string& document) {
  InfReader reader{.document = document};
  for (const InfSection& section : sections) {
    const std::string name = lower(section.name);
    if (name == "newrequest") {
      read_new_request(section, reader);
    } else if (name == "enhancedkeyusageextension") {
      read_inf_purposes(section, reader);
    } else if (name == "extensions") {
      read_inf_extensions(section, reader);
    } else if (name == "requestattributes") {
      for (const InfEntry& entry : section.entries) {
        if (lower(entry.key) == "certificatetemplate") reader.wanted.template_name = entry.value;
        if (lower(entry.key) != "certificatetemplate" || !reader.wanted.archive)
          reader.passed_over.push_back(printable(entry.key));
      }
    } else if (name != "version") {
      refuse_inf(document, section.line, fmt::format("[{}] is not known", printable(section.name)),
                 "known are [NewRequest], [EnhancedKeyUsageExtension], [Extensions], "
                 "[RequestAttributes], [Strings] and [Version]");
    }
  }
  if (!reader.passed_over.empty()) {
    reader.wanted.notices.push_back(
        fmt::format("passed over, as it concerns only Windows or its authority: {}",
                    fmt::join(reader.passed_over, ", ")));
  }
  return std::move(reader.wanted);
}

}  // namespace hsmith::x509
