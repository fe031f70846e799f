#include "src/x509/profile.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <toml++/toml.h>

#include "shipped_profiles.h"

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"

namespace hsmith::x509 {
namespace {

constexpr std::size_t kProfileLimit = 1u << 20;

[[noreturn]] void refuse(std::string_view source, const toml::source_region& where,
                         std::string_view cause, std::string hint = "") {
  throw Error(Kind::configuration,
              fmt::format("read the profile {}, line {}: {}", source, where.begin.line, cause))
      .hint(std::move(hint));
}

// Reads the values of one table, and refuses what it does not know.
class Table {
 public:
  Table(const toml::table& table, std::string name, std::string_view source,
        std::vector<std::string> keys)
      : table_(table), name_(std::move(name)), source_(source) {
    for (const auto& [key, value] : table) {
      const std::string text(key.str());
      if (std::find(keys.begin(), keys.end(), text) != keys.end()) continue;
      const auto near = did_you_mean(text, keys);
      refuse(source_, value.source(), fmt::format("{} is not known", path(text)),
             near ? fmt::format("did you mean {}?", path(*near))
                  : fmt::format("known are: {}", fmt::join(keys, ", ")));
    }
  }

  void read(const char* key, std::string& into) const {
    if (const toml::node* node = table_.get(key)) into = text_of_node(*node, key);
  }

  void read(const char* key, int& into, int least, int most) const {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    const auto value = node->value_exact<std::int64_t>();
    if (!value || *value < least || *value > most) {
      refuse(source_, node->source(),
             fmt::format("{} must be a number from {} to {}", path(key), least, most));
    }
    into = static_cast<int>(*value);
  }

  void read(const char* key, bool& into) const {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    const auto value = node->value_exact<bool>();
    if (!value) refuse(source_, node->source(), fmt::format("{} must be true or false", path(key)));
    into = *value;
  }

  void read(const char* key, std::vector<std::string>& into) const {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    const toml::array* list = node->as_array();
    if (list == nullptr) {
      refuse(source_, node->source(), fmt::format("{} must be a list of texts", path(key)));
    }
    into.clear();
    for (const toml::node& one : *list) into.push_back(text_of_node(one, key));
  }

  // A list of words of which each must be one of `words`.
  void read(const char* key, std::vector<std::string>& into,
            const std::vector<std::string>& words) const {
    read(key, into);
    for (const std::string& word : into) {
      if (std::find(words.begin(), words.end(), word) != words.end()) continue;
      refuse(source_, table_.get(key)->source(),
             fmt::format("{} holds {}: known are {}", path(key), quoted(word),
                         fmt::join(words, ", ")));
    }
  }

  // A list that `parse` understands; it gives back the usual spelling.
  template <typename Parse>
  void read_usages(const char* key, std::vector<std::string>& into, Parse parse) const {
    read(key, into);
    try {
      into = parse(fmt::format("{}", fmt::join(into, ",")));
    } catch (const Error& error) {
      refuse(source_, table_.get(key)->source(), fmt::format("{}: {}", path(key), error.what()),
             error.hint());
    }
  }

  Table inner(const char* key, std::vector<std::string> keys) const {
    static const toml::table kEmpty;
    const toml::node* node = table_.get(key);
    if (node == nullptr) return Table(kEmpty, key, source_, std::move(keys));
    if (!node->is_table()) {
      refuse(source_, node->source(), fmt::format("[{}] must be a table", key));
    }
    return Table(*node->as_table(), key, source_, std::move(keys));
  }

 private:
  std::string path(std::string_view key) const {
    return name_.empty() ? std::string(key) : name_ + "." + std::string(key);
  }

  std::string text_of_node(const toml::node& node, const char* key) const {
    const auto text = node.value_exact<std::string>();
    if (!text) refuse(source_, node.source(), fmt::format("{} must be text", path(key)));
    return *text;
  }

  const toml::table& table_;
  std::string name_;
  std::string_view source_;
};

Presence presence_named(const std::string& word, std::string_view source, const toml::table& root) {
  if (word == "allowed") return Presence::allowed;
  if (word == "required") return Presence::required;
  if (word == "forbidden") return Presence::forbidden;
  refuse(source, root["names"].node()->source(),
         fmt::format("names.wildcard is {}: known are allowed, required, forbidden", quoted(word)));
}

void read_key(const Table& root, Profile& profile) {
  const Table key = root.inner("key", {"types", "rsa_bits", "ec_bits"});
  profile.key_types = {"rsa", "ec", "ed25519"};
  key.read("types", profile.key_types, {"rsa", "ec", "ed25519"});
  key.read("rsa_bits", profile.rsa_bits, 1024, 16384);
  key.read("ec_bits", profile.ec_bits, 224, 521);
}

void read_usage(const Table& root, Profile& profile) {
  const Table usage = root.inner("usage", {"rsa", "ec", "ed25519", "extended"});
  usage.read_usages("rsa", profile.rsa_key_usage, parse_key_usage);
  usage.read_usages("ec", profile.ec_key_usage, parse_key_usage);
  usage.read_usages("ed25519", profile.ed25519_key_usage, parse_key_usage);
  usage.read_usages("extended", profile.extended_key_usage, parse_extended_key_usage);
}

void read_names(const Table& root, const toml::table& table, std::string_view source,
                Profile& profile) {
  const std::vector<std::string> kinds{"dns", "ip", "email", "uri", "upn"};
  const Table names =
      root.inner("names", {"one_of", "allowed", "from_subject", "wildcard", "most"});
  names.read("one_of", profile.one_of_names, kinds);
  names.read("allowed", profile.allowed_names, kinds);
  names.read("from_subject", profile.names_from_subject, {"CN", "emailAddress"});
  names.read("most", profile.most_names, 0, 10000);
  std::string wildcard = "allowed";
  names.read("wildcard", wildcard);
  profile.wildcard = presence_named(wildcard, source, table);
}

void read_issue(const Table& root, Profile& profile) {
  const Table issue =
      root.inner("issue", {"days", "authority", "path_length", "extensions", "template"});
  issue.read("days", profile.most_days, 1, 36500);
  issue.read("authority", profile.authority);
  issue.read("path_length", profile.path_length, 0, 100);
  issue.read_usages("extensions", profile.request_extensions, parse_oids);
  issue.read("template", profile.template_name);
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
  toml::table table;
  try {
    table = toml::parse(toml, source);
  } catch (const toml::parse_error& error) {
    refuse(source, error.source(), lower(error.description()));
  }
  Profile profile;
  profile.name = name;
  const Table root(table, "", source, {"description", "key", "usage", "subject", "names", "issue"});
  root.read("description", profile.description);
  read_key(root, profile);
  read_usage(root, profile);
  const Table subject = root.inner("subject", {"required", "forbidden"});
  subject.read("required", profile.required_parts);
  subject.read("forbidden", profile.forbidden_parts);
  read_names(root, table, source, profile);
  read_issue(root, profile);
  return profile;
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
