#include "cli/config.h"

#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <functional>
#include <string_view>
#include <toml++/toml.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kConfigLimit = 1u << 20;
constexpr const char* kSystemFile = "/etc/hsmith/config.toml";

// Where a value stands, for messages and for relative paths.
struct Place {
  std::string file;
  std::string key;  // with its section: "audit.file"
};

[[noreturn]] void fail(const std::string& file, const toml::source_region& where,
                       const std::string& cause) {
  throw Error(Kind::configuration, fmt::format("read the configuration {}, line {}: {}",
                                               quoted(file), where.begin.line, cause));
}

std::string text_of(const toml::node& value, const Place& place) {
  if (const auto* text = value.as_string()) return text->get();
  fail(place.file, value.source(), fmt::format("{} must be a text in quotes", quoted(place.key)));
}

std::string path_of(const toml::node& value, const Place& place) {
  return (fs::absolute(place.file).parent_path() / text_of(value, place)).lexically_normal();
}

std::vector<std::string> paths_of(const toml::node& value, const Place& place) {
  const auto* list = value.as_array();
  if (list == nullptr) {
    fail(place.file, value.source(),
         fmt::format("{} must be a list in brackets", quoted(place.key)));
  }
  std::vector<std::string> paths;
  for (const toml::node& item : *list) {
    const bool system = item.value_or(std::string_view()) == "system";
    paths.push_back(system ? "system" : path_of(item, place));
  }
  return paths;
}

// A path when it has a '/', else a name that p11-kit knows.
std::string module_of(const toml::node& value, const Place& place) {
  const std::string text = text_of(value, place);
  return text.find('/') == std::string::npos ? text : path_of(value, place);
}

AuditFlush flush_of(const toml::node& value, const Place& place) {
  const std::string text = text_of(value, place);
  if (text == "always") return AuditFlush::always;
  if (text == "changes") return AuditFlush::changes;
  fail(place.file, value.source(),
       fmt::format("{} is \"always\" or \"changes\", not {}", quoted(place.key), quoted(text)));
}

std::string scalar_of(const toml::node& value, const Place& place) {
  if (const auto* text = value.as_string()) return text->get();
  if (const auto* number = value.as_integer()) return fmt::format("{}", number->get());
  if (const auto* flag = value.as_boolean()) return flag->get() ? "true" : "false";
  fail(place.file, value.source(),
       fmt::format("{} must be a text, a whole number, true or false", quoted(place.key)));
}

const toml::table& table_of(const toml::node& value, const Place& place) {
  if (const auto* table = value.as_table()) return *table;
  fail(place.file, value.source(),
       fmt::format("{} must be a section: [{}]", quoted(place.key), place.key));
}

using Quirks = std::map<std::string, std::map<std::string, std::string>>;

Quirks quirks_of(const toml::node& value, const Place& place) {
  Quirks quirks;
  for (const auto& [module, settings] : table_of(value, place)) {
    const Place below{place.file, fmt::format("quirks.\"{}\"", module.str())};
    for (const auto& [name, setting] : table_of(settings, below)) {
      quirks[std::string(module.str())][std::string(name.str())] =
          scalar_of(setting, {place.file, fmt::format("{}.{}", below.key, name.str())});
    }
  }
  return quirks;
}

// One key that is known, and what it does.
struct Key {
  std::string_view name;  // with its section
  void (*take)(Config& config, const toml::node& value, const Place& place);
};

template <auto Member, auto Read>
void take(Config& config, const toml::node& value, const Place& place) {
  config.*Member = Read(value, place);
}

constexpr std::array kKeys{
    Key{"module", take<&Config::module, module_of>},
    Key{"module_init", take<&Config::module_init, text_of>},
    Key{"token", take<&Config::token, text_of>},
    Key{"pin_source", take<&Config::pin_source, text_of>},
    Key{"so_pin_source", take<&Config::so_pin_source, text_of>},
    Key{"audit.file", take<&Config::audit_file, path_of>},
    Key{"audit.flush", take<&Config::audit_flush, flush_of>},
    Key{"lock.folder", take<&Config::lock_folder, path_of>},
    Key{"archive.url", take<&Config::archive_url, text_of>},
    Key{"archive.seal_cert", take<&Config::archive_seal_cert, path_of>},
    Key{"recover.officers", take<&Config::recover_officers, paths_of>},
    Key{"trust.anchors", take<&Config::trust_anchors, paths_of>},
    Key{"trust.crls", take<&Config::trust_crls, paths_of>},
    Key{"quirks", take<&Config::quirks, quirks_of>},
};

bool is_section(std::string_view name) {
  for (const Key& key : kKeys) {
    if (key.name.starts_with(std::string(name) + '.')) return true;
  }
  return false;
}

[[noreturn]] void fail_unknown(const Place& place, const toml::source_region& where) {
  std::vector<std::string> known;
  for (const Key& key : kKeys) {
    known.emplace_back(key.name);
    known.emplace_back(key.name.substr(0, key.name.find('.')));
  }
  std::string cause = fmt::format("there is no key {}", quoted(place.key));
  if (const auto nearest = did_you_mean(place.key, known)) {
    cause += fmt::format(", did you mean {}?", quoted(*nearest));
  }
  fail(place.file, where, cause);
}

void take_table(Config& config, const toml::table& table, const std::string& section) {
  for (const auto& [name, value] : table) {
    const std::string key =
        section.empty() ? std::string(name.str()) : fmt::format("{}.{}", section, name.str());
    const Place place{config.path, key};
    const Key* known = nullptr;
    for (const Key& candidate : kKeys) {
      if (candidate.name == key) known = &candidate;
    }
    if (known != nullptr) {
      known->take(config, value, place);
    } else if (section.empty() && is_section(key)) {
      take_table(config, table_of(value, place), key);
    } else {
      fail_unknown(place, name.source());
    }
  }
}

bool is_there(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::status_known(status)) return fs::exists(status);
  throw Error(Kind::io, fmt::format("look for the configuration {}: {}", quoted(path.string()),
                                    error.message()));
}

Config read_config(const std::string& path) {
  refuse_writable_by_others(path, "the configuration");
  const Bytes content = read_file(path, kConfigLimit);
  Config config;
  config.path = path;
  try {
    take_table(config, toml::parse(as_text(content), path), "");
  } catch (const toml::parse_error& error) {
    fail(path, error.source(), printable(error.description()));
  }
  return config;
}

}  // namespace

Config load_config(const std::optional<std::string>& path, const Environment& environment) {
  // The customary way to say "none"; everybody may write to it.
  if (path == "/dev/null") return {};
  if (path) return read_config(*path);
  for (const fs::path& usual :
       {environment.configuration_folder / "config.toml", fs::path(kSystemFile)}) {
    if (is_there(usual)) return read_config(usual);
  }
  return {};
}

}  // namespace hsmith::cli
