#include "src/x509/profile.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

#include "shipped_profiles.h"

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/x509/toml_table.h"

namespace hsmith::x509 {
namespace {

using Table = TomlTable;

constexpr std::size_t kProfileLimit = 1u << 20;

void read_presence(const Table& table, const char* section, const char* key, Presence& presence) {
  std::string word = "allowed";
  table.read(key, word);
  if (word == "allowed" || word == "required" || word == "forbidden") {
    presence = word == "allowed"    ? Presence::allowed
               : word == "required" ? Presence::required
                                    : Presence::forbidden;
    return;
  }
  table.refuse(key, fmt::format("{}.{} is {}: known are allowed, required, forbidden", section, key,
                                quoted(word)));
}

void read_key(const Table& root, Profile& profile) {
  const Table key = root.inner("key", {"types", "rsa_bits", "rsa_bits_most", "ec_bits"});
  profile.key_types = {"rsa", "ec", "ed25519"};
  key.read("types", profile.key_types, {"rsa", "ec", "ed25519"});
  key.read("rsa_bits", profile.rsa_bits, 1024, 16384);
  key.read("rsa_bits_most", profile.rsa_bits_most, 1024, 16384);
  key.read("ec_bits", profile.ec_bits, 224, 521);
}

void read_usage(const Table& root, Profile& profile) {
  const Table usage = root.inner("usage", {"rsa", "ec", "ed25519", "extended"});
  usage.read_list("rsa", profile.rsa_key_usage, parse_key_usage);
  usage.read_list("ec", profile.ec_key_usage, parse_key_usage);
  usage.read_list("ed25519", profile.ed25519_key_usage, parse_key_usage);
  usage.read_list("extended", profile.extended_key_usage, parse_extended_key_usage);
}

void read_names(const Table& root, Profile& profile) {
  const std::vector<std::string> kinds{"dns", "ip", "email", "uri", "upn"};
  const Table names =
      root.inner("names", {"one_of", "allowed", "from_subject", "wildcard", "least", "most"});
  names.read("one_of", profile.one_of_names, kinds);
  names.read("allowed", profile.allowed_names, kinds);
  names.read("from_subject", profile.names_from_subject, {"CN", "emailAddress"});
  names.read("least", profile.least_names, 0, 10000);
  names.read("most", profile.most_names, 0, 10000);
  read_presence(names, "names", "wildcard", profile.wildcard);
}

void read_issue(const Table& root, Profile& profile) {
  const Table issue = root.inner(
      "issue", {"days", "authority", "path_length", "extensions", "template", "archive_key"});
  issue.read("days", profile.most_days, 1, 36500);
  issue.read("authority", profile.authority);
  issue.read("path_length", profile.path_length, 0, 100);
  issue.read_list("extensions", profile.request_extensions, parse_oids);
  issue.read("template", profile.template_name);
  read_presence(issue, "issue", "archive_key", profile.archive_key);
}

const ShippedProfile* shipped_named(std::string_view name) {
  for (const ShippedProfile& profile : kShippedProfiles) {
    if (name == profile.name) return &profile;
  }
  return nullptr;
}

std::string own_path(const std::string& folder, std::string_view name) {
  return (std::filesystem::path(folder) / (std::string(name) + ".toml")).string();
}

// The names of the user's own profiles: no other may be asked for, so no name leads elsewhere.
std::vector<std::string> own_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  if (folder.empty()) return names;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  return names;
}

// The name that a value of the subject is, if it is one.
std::optional<AltName> name_in_subject(const std::string& type, const std::string& value) {
  std::vector<std::string> unused;
  try {
    if (type == "emailAddress") return parse_alt_names("email:" + value, unused).front();
    return is_ip(value) ? ip_name(value) : dns_name(value, unused);
  } catch (const Error&) {
    return std::nullopt;  // a common name that is a plain name
  }
}

}  // namespace

std::vector<std::string> profile_names(const std::string& folder) {
  std::vector<std::string> names = own_names(folder);
  for (const ShippedProfile& profile : kShippedProfiles) names.emplace_back(profile.name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Profile load_profile(std::string_view name, const std::string& folder) {
  const std::vector<std::string> own = own_names(folder);
  if (std::find(own.begin(), own.end(), name) != own.end()) {
    const std::string path = own_path(folder, name);
    refuse_writable_by_others(path, "the profile");
    const Bytes content = read_file(path, kProfileLimit);
    return parse_profile(as_text(content), name, path);
  }
  if (const ShippedProfile* shipped = shipped_named(name)) {
    return parse_profile(shipped->toml, name, name);
  }
  const std::vector<std::string> known = profile_names(folder);
  const auto near = did_you_mean(name, known);
  throw Error(Kind::usage, fmt::format("the profile {}: there is none of this name", quoted(name)))
      .hint(near ? fmt::format("did you mean {}?", *near)
                 : fmt::format("known are: {}", fmt::join(known, ", ")));
}

Profile parse_profile(std::string_view toml, std::string_view name, std::string_view source) {
  const std::string document = fmt::format("the profile {}", quoted(source));
  const toml::table table = parse_toml(toml, document);
  Profile profile;
  profile.name = name;
  const Table root(table, "", document,
                   {"description", "key", "usage", "subject", "names", "issue"});
  root.read("description", profile.description);
  read_key(root, profile);
  read_usage(root, profile);
  const Table subject = root.inner("subject", {"required", "forbidden", "countries", "host_name"});
  subject.read("required", profile.required_parts);
  subject.read("forbidden", profile.forbidden_parts);
  subject.read("countries", profile.countries);
  subject.read("host_name", profile.host_name);
  read_names(root, profile);
  read_issue(root, profile);
  return profile;
}

bool names_a_host(const Profile& profile) {
  const auto& types = profile.names_from_subject;
  return profile.host_name || std::find(types.begin(), types.end(), "CN") != types.end();
}

const std::vector<std::string>& default_key_usage(const Profile& profile,
                                                  ossl::KeyAlgorithm algorithm) {
  if (algorithm == ossl::KeyAlgorithm::rsa) return profile.rsa_key_usage;
  if (algorithm == ossl::KeyAlgorithm::ec) return profile.ec_key_usage;
  return profile.ed25519_key_usage;
}

void apply_profile(const Profile& profile, ossl::KeyAlgorithm algorithm, const X509_NAME* subject,
                   Wishes& wishes, std::vector<std::string>& notices) {
  if (wishes.key_usage.empty()) wishes.key_usage = default_key_usage(profile, algorithm);
  if (wishes.extended_key_usage.empty()) wishes.extended_key_usage = profile.extended_key_usage;
  wishes.authority = wishes.authority || profile.authority;
  if (subject == nullptr) return;
  for (const SubjectPart& part : name_parts(subject)) {
    const auto& types = profile.names_from_subject;
    if (std::find(types.begin(), types.end(), part.type) == types.end()) continue;
    const auto name = name_in_subject(part.type, part.value);
    const bool there =
        std::find(wishes.names.begin(), wishes.names.end(), name) != wishes.names.end();
    if (!name || there) continue;
    wishes.names.insert(wishes.names.begin(), *name);
    notices.push_back(fmt::format("the name {} is added, as it stands in the subject ({})",
                                  text_of(*name), part.type));
  }
}

}  // namespace hsmith::x509
