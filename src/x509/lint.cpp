#include "src/x509/lint.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <set>
#include <utility>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/name.h"
#include "src/x509/public_key.h"
#include "src/x509/weak_keys.h"

namespace hsmith::x509 {
namespace {

constexpr std::size_t kMostFindings = 200;

using Findings = std::vector<Finding>;

// Subject and names of a request, wherever they come from.
struct View {
  const X509_NAME* subject;  // never null
  std::span<const AltName> names;
  std::span<const std::string> key_usage;
  std::span<const std::string> extended_key_usage;
};

void add(Findings& findings, Severity severity, const char* code, std::string text) {
  if (findings.size() < kMostFindings) findings.push_back({severity, code, std::move(text)});
}

bool contains(std::span<const std::string> list, std::string_view wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

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
    add(findings, Severity::error, "country_form",
        fmt::format("the country {} is not two capital letters", quoted(value)));
  } else if (!is_country(value) && value != "XX") {  // XX: a placeholder
    add(findings, Severity::error, "country_unknown",
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
    add(findings, Severity::error, "wildcard_misplaced",
        fmt::format("{}: a '*' may stand only for the whole left-most label", field));
  }
  if (characters(part.value) > bound_of(part.type)) {
    add(findings, Severity::error, "value_too_long",
        fmt::format("{} has more than {} characters", field, bound_of(part.type)));
  }
  if (trim(part.value) != part.value || part.value.empty()) {
    add(findings, Severity::warning, "value_spaces",
        fmt::format("{} is empty, or has spaces at an end", field));
  } else if (part.value.find_first_not_of(" .-_*?") == std::string::npos) {
    add(findings, Severity::warning, "value_meaningless", fmt::format("{} says nothing", field));
  }
  if (printable(part.value, part.value.size() + 1) != part.value &&
      part.value.find('\\') == std::string::npos) {
    add(findings, Severity::error, "value_invisible",
        fmt::format("{} holds invisible characters", field));
  }
  if (is_placeholder(part.value)) {
    add(findings, Severity::warning, "value_placeholder",
        fmt::format("{} is what a tool puts there by default", field));
  }
}

void lint_string_types(const X509_NAME* subject, Findings& findings) {
  for (int i = 0; i < X509_NAME_entry_count(subject); ++i) {
    const int type = ASN1_STRING_type(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
    if (type == V_ASN1_T61STRING || type == V_ASN1_BMPSTRING || type == V_ASN1_UNIVERSALSTRING) {
      add(findings, Severity::warning, "value_old_string_type",
          "the subject uses a string type that RFC 5280 no longer allows for new certificates");
      return;
    }
  }
}

// The country and the common name as the profile wants them.
void lint_values_for(const SubjectPart& part, const Profile& profile, Findings& findings) {
  if (part.type == "C" && !profile.countries.empty() && !contains(profile.countries, part.value)) {
    add(findings, Severity::error, "country_not_allowed",
        fmt::format("the profile {} needs the country {}, not {}", profile.name,
                    fmt::join(profile.countries, " or "), quoted(part.value)));
  }
  if (part.type != "CN" || !profile.host_name) return;
  try {
    std::vector<std::string> unused;
    dns_name(part.value, unused);
  } catch (const Error& error) {
    add(findings, Severity::error, "common_name_no_host",
        fmt::format("the profile {} needs a server name as common name: {}", profile.name,
                    error.what()));
  }
}

void lint_subject_for(const std::vector<SubjectPart>& parts, const std::vector<std::string>& types,
                      const Profile& profile, Findings& findings) {
  for (const SubjectPart& part : parts) lint_values_for(part, profile, findings);
  for (const std::string& type : profile.required_parts) {
    if (!contains(types, type)) {
      add(findings, Severity::error, "field_missing",
          fmt::format("the profile {} needs the subject's field {}", profile.name, type));
    }
  }
  for (const std::string& type : profile.forbidden_parts) {
    if (contains(types, type)) {
      add(findings, Severity::error, "field_forbidden",
          fmt::format("the profile {} forbids the subject's field {}", profile.name, type));
    }
  }
}

void lint_subject(const View& view, const Profile* profile, Findings& findings) {
  const std::vector<SubjectPart> parts = name_parts(view.subject);
  if (parts.empty() && view.names.empty()) {
    add(findings, Severity::error, "no_name", "there is neither a subject nor another name");
  }
  std::vector<std::string> types;
  for (const SubjectPart& part : parts) {
    lint_part(part, findings);
    types.push_back(part.type);
  }
  lint_string_types(view.subject, findings);
  if (std::count(types.begin(), types.end(), "CN") > 1) {
    add(findings, Severity::warning, "several_common_names",
        "the subject has several common names");
  }
  if (contains(types, "C") && types.front() != "C" && types.back() == "C") {
    add(findings, Severity::warning, "subject_order",
        "the subject begins with its most specific field and ends with the country: "
        "RFC 4514 text is written the other way round, CN=...,C=...");
  }
  if (profile != nullptr) lint_subject_for(parts, types, *profile, findings);
}

// Names that no public authority can verify.
bool is_internal(const AltName& name) {
  static constexpr std::array<std::string_view, 12> kDomains{
      "local", "localdomain", "localhost", "internal", "intranet", "lan",
      "home",  "corp",        "private",   "test",     "invalid",  "example"};
  if (name.kind == AltNameKind::ip) {
    const std::vector<std::string> parts = split(name.value, '.');
    if (parts.size() != 4) {
      return name.value == "::1" || name.value.rfind("fc", 0) == 0 ||
             name.value.rfind("fd", 0) == 0 || name.value.rfind("fe80:", 0) == 0;
    }
    const bool is_172 =
        parts[0] == "172" && parts[1].size() == 2 && parts[1] >= "16" && parts[1] <= "31";
    return parts[0] == "10" || parts[0] == "127" || is_172 ||
           (parts[0] == "192" && parts[1] == "168") || (parts[0] == "169" && parts[1] == "254");
  }
  const std::vector<std::string> labels = split(lower(name.value), '.');
  return labels.size() < 2 ||
         std::find(kDomains.begin(), kDomains.end(), labels.back()) != kDomains.end();
}

void lint_name(const AltName& name, Findings& findings) {
  const std::string text = text_of(name);
  if (name.kind == AltNameKind::directory || name.kind == AltNameKind::other) return;
  try {
    std::vector<std::string> unused;
    const std::string kind = alt_name_kind(name.kind);
    // Parsed as a whole: the value may hold a comma.
    const auto parsed = parse_alt_names(kind + ":" + lower(name.value), unused);
    if (parsed.size() != 1 || !unused.empty()) throw Error(Kind::usage, "it is not plain ASCII");
  } catch (const Error& error) {
    add(findings, Severity::error, "name_malformed", fmt::format("{}: {}", text, error.what()));
    return;
  }
  if (name.kind != AltNameKind::dns && name.kind != AltNameKind::ip) return;
  if (name.value.rfind("*.", 0) == 0 && split(name.value, '.').size() < 3) {
    add(findings, Severity::error, "wildcard_too_wide",
        fmt::format("the name {} covers a whole top-level domain", text));
  } else if (is_internal(name)) {
    add(findings, Severity::warning, "name_internal",
        fmt::format("the name {} is an internal one: no public authority issues for it", text));
  }
}

void lint_name_set(const View& view, const Profile& profile, Findings& findings) {
  const auto is_wildcard = [](const AltName& name) {
    return name.kind == AltNameKind::dns && name.value.rfind("*.", 0) == 0;
  };
  const bool wildcard = std::any_of(view.names.begin(), view.names.end(), is_wildcard);
  if (wildcard && profile.wildcard == Presence::forbidden) {
    add(findings, Severity::error, "wildcard_forbidden",
        fmt::format("the profile {} forbids wildcard names", profile.name));
  }
  if (!wildcard && profile.wildcard == Presence::required) {
    add(findings, Severity::error, "wildcard_missing",
        fmt::format("the profile {} needs a wildcard name", profile.name));
  }
  if (profile.most_names > 0 && view.names.size() > static_cast<std::size_t>(profile.most_names)) {
    add(findings, Severity::error, "too_many_names",
        fmt::format("there are {} names, the profile {} allows {}", view.names.size(), profile.name,
                    profile.most_names));
  }
  if (view.names.size() < static_cast<std::size_t>(profile.least_names)) {
    add(findings, Severity::error, "too_few_names",
        fmt::format("there are {} names, the profile {} needs {}", view.names.size(), profile.name,
                    profile.least_names));
  }
  std::set<std::string> kinds;
  for (const AltName& name : view.names) kinds.insert(alt_name_kind(name.kind));
  const auto& one_of = profile.one_of_names;
  const bool has_one = std::any_of(one_of.begin(), one_of.end(),
                                   [&](const std::string& kind) { return kinds.count(kind) > 0; });
  if (!one_of.empty() && !has_one) {
    add(findings, Severity::error, "name_missing",
        fmt::format("the profile {} needs a name of the kind {}", profile.name,
                    fmt::join(one_of, " or ")));
  }
  for (const std::string& kind : kinds) {
    if (!profile.allowed_names.empty() && !contains(profile.allowed_names, kind)) {
      add(findings, Severity::error, "name_not_allowed",
          fmt::format("the profile {} has no names of the kind {}", profile.name, kind));
    }
  }
}

// RFC 9525: programs look among the names and nowhere else.
void lint_subject_names(const View& view, const Profile& profile, Findings& findings) {
  for (const SubjectPart& part : name_parts(view.subject)) {
    if (!contains(profile.names_from_subject, part.type)) continue;
    const bool listed = std::any_of(view.names.begin(), view.names.end(), [&](const AltName& name) {
      return lower(name.value) == lower(part.value);
    });
    if (!listed) {
      add(findings, Severity::error, "subject_name_not_listed",
          fmt::format("the subject's {} {} is not among the names", part.type, quoted(part.value)));
    }
  }
}

void lint_names(const View& view, const Profile* profile, Findings& findings) {
  std::set<std::string> seen;
  for (const AltName& name : view.names) {
    lint_name(name, findings);
    if (!seen.insert(lower(text_of(name))).second) {
      add(findings, Severity::warning, "name_twice",
          fmt::format("the name {} stands there twice", text_of(name)));
    }
  }
  if (profile == nullptr) return;
  lint_name_set(view, *profile, findings);
  lint_subject_names(view, *profile, findings);
}

void lint_usages(const View& view, const Profile& profile, const EVP_PKEY* key,
                 Findings& findings) {
  const auto& wanted = default_key_usage(profile, ossl::algorithm_of(key));
  if (wanted.empty()) return;  // the profile leaves it to the authority
  for (const std::string& usage : view.key_usage) {
    if (!contains(wanted, usage)) {
      add(findings, Severity::warning, "key_usage_extra",
          fmt::format("the key usage {} is not one of the profile {}", usage, profile.name));
    }
  }
  for (const std::string& usage : wanted) {
    if (!view.key_usage.empty() && !contains(view.key_usage, usage)) {
      add(findings, Severity::warning, "key_usage_missing",
          fmt::format("the key usage {} of the profile {} is not asked for", usage, profile.name));
    }
  }
}

void lint_purposes(const View& view, const Profile& profile, Findings& findings) {
  for (const std::string& purpose : profile.extended_key_usage) {
    if (!contains(view.extended_key_usage, purpose)) {
      add(findings, Severity::warning, "purpose_missing",
          fmt::format("the extended key usage {} of the profile {} is not asked for", purpose,
                      profile.name));
    }
  }
}

void lint_signature(X509_REQ* request, Findings& findings) {
  if (!request_signature_ok(request)) {
    add(findings, Severity::error, "signature_invalid",
        "the request's signature does not verify with its own key");
  }
  const X509_ALGOR* algorithm = nullptr;
  X509_REQ_get0_signature(request, nullptr, &algorithm);
  switch (digest_nid_of(algorithm)) {
    case NID_md2:
    case NID_md4:
    case NID_md5:
    case NID_sha1:
    case NID_ripemd160:
    case NID_md5_sha1:
      add(findings, Severity::error, "signature_digest_weak",
          fmt::format("the request is signed with a broken digest ({})",
                      algorithm_name(algorithm)));
      break;
    default:
      break;
  }
}

void lint_view(const View& view, const Profile* profile, Findings& findings) {
  lint_subject(view, profile, findings);
  lint_names(view, profile, findings);
  if (profile != nullptr) lint_purposes(view, *profile, findings);
}

bool is_known(const EVP_PKEY* key) {
  return EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "EC") == 1 ||
         EVP_PKEY_is_a(key, "ED25519") == 1;
}

void lint_size(std::string_view type, int bits, int least, const Profile& profile,
               Findings& findings) {
  if (bits < least) {
    add(findings, Severity::error, "key_too_small",
        fmt::format("the profile {} needs a key of {} bits, {} has {}", profile.name, least, type,
                    bits));
  }
}

void lint_type(ossl::KeyAlgorithm algorithm, std::string_view type, int bits,
               const Profile& profile, Findings& findings) {
  static constexpr std::array<std::pair<ossl::KeyAlgorithm, std::string_view>, 3> kNames{{
      {ossl::KeyAlgorithm::rsa, "rsa"},
      {ossl::KeyAlgorithm::ec, "ec"},
      {ossl::KeyAlgorithm::ed25519, "ed25519"},
  }};
  const bool allowed = std::any_of(kNames.begin(), kNames.end(), [&](const auto& one) {
    return one.first == algorithm && contains(profile.key_types, one.second);
  });
  if (!allowed) {
    add(findings, Severity::error, "key_type_not_allowed",
        fmt::format("the profile {} takes keys of the type {}, not {}", profile.name,
                    fmt::join(profile.key_types, ", "), type));
  } else if (algorithm == ossl::KeyAlgorithm::rsa) {
    lint_size(type, bits, profile.rsa_bits, profile, findings);
    if (profile.rsa_bits_most > 0 && bits > profile.rsa_bits_most) {
      add(findings, Severity::error, "key_too_large",
          fmt::format("the profile {} takes keys of {} bits at most, {} has {}", profile.name,
                      profile.rsa_bits_most, type, bits));
    }
  } else if (algorithm == ossl::KeyAlgorithm::ec) {
    lint_size(type, bits, profile.ec_bits, profile, findings);
  }
}

}  // namespace

std::vector<Finding> lint_request(X509_REQ* request, const Profile* profile) {
  Findings findings;
  lint_signature(request, findings);
  const RequestFacts facts = request_facts(request);
  const ExtensionFacts& extensions = facts.extensions;
  const View view{X509_REQ_get_subject_name(request), extensions.names, extensions.key_usage,
                  extensions.extended_key_usage};
  lint_view(view, profile, findings);
  const bool asks = extensions.is_ca.value_or(false);
  const bool authority = profile != nullptr && profile->authority;
  if (authority && !asks) {
    add(findings, Severity::warning, "authority_missing",
        fmt::format("the profile {} is an authority's, and the request does not ask to be one",
                    profile->name));
  }
  if (asks && !authority) {
    add(findings, Severity::warning, "asks_for_authority",
        "the request asks to become a certification authority");
  }
  EVP_PKEY* key = public_key_of(request);
  for (Finding& finding : lint_key(key, profile)) findings.push_back(std::move(finding));
  if (profile != nullptr && is_known(key)) lint_usages(view, *profile, key, findings);
  return findings;
}

std::vector<Finding> lint_spec(const RequestSpec& spec, const Profile* profile) {
  Findings findings;
  const ossl::Name empty(ossl::check_ptr(X509_NAME_new(), "make a name"));
  const Wishes& wishes = spec.wishes;
  lint_view({spec.subject == nullptr ? empty.get() : spec.subject.get(), wishes.names,
             wishes.key_usage, wishes.extended_key_usage},
            profile, findings);
  return findings;
}

std::vector<Finding> lint_key(const EVP_PKEY* key, const Profile* profile) {
  Findings findings = key_weaknesses(key);
  if (profile == nullptr) return findings;
  if (is_known(key)) {
    lint_type(ossl::algorithm_of(key), ossl::key_type_name(key), EVP_PKEY_get_bits(key), *profile,
              findings);
  } else {
    add(findings, Severity::error, "key_type_not_allowed",
        fmt::format("the profile {} takes no keys of the type {}", profile->name,
                    ossl::key_type_name(key)));
  }
  return findings;
}

std::vector<Finding> lint_key_type(const ossl::KeyType& type, const Profile& profile) {
  Findings findings;
  lint_type(type.algorithm, type.name, type.bits, profile, findings);
  return findings;
}

}  // namespace hsmith::x509
