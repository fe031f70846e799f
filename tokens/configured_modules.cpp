#include "tokens/configured_modules.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <optional>
#include <unistd.h>

#include "src/base/environment.h"
#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"

namespace hsmith::tokens {
namespace {

namespace fs = std::filesystem;

// Where Debian's p11-kit looks (its pkg-config variables p11_module_configs and p11_module_path).
constexpr char kPackageFolder[] = "/usr/share/p11-kit/modules";
constexpr char kSystemFolder[] = "/etc/pkcs11/modules";
constexpr char kModuleFolder[] = HSMITH_P11_MODULE_PATH;

using Settings = std::map<std::string, std::string>;

// "key: value" lines; '#' begins a comment line.
Settings parse_settings(std::string_view text) {
  Settings settings;
  for (const std::string& line : split(text, '\n')) {
    const std::string_view trimmed = trim(line);
    const std::size_t colon = trimmed.find(':');
    if (trimmed.empty() || trimmed.front() == '#' || colon == std::string_view::npos) continue;
    settings[std::string(trim(trimmed.substr(0, colon)))] = trim(trimmed.substr(colon + 1));
  }
  return settings;
}

bool names_us(const std::string& programs) {
  std::string spaced = programs;
  std::replace(spaced.begin(), spaced.end(), ',', ' ');
  const std::vector<std::string> words = split(spaced, ' ');
  return std::find(words.begin(), words.end(), "hsmith") != words.end();
}

bool is_for_us(const Settings& settings) {
  const auto enabled = settings.find("enable-in");
  const auto disabled = settings.find("disable-in");
  if (enabled != settings.end()) return names_us(enabled->second);
  return disabled == settings.end() || !names_us(disabled->second);
}

std::optional<ConfiguredModule> read_module(const fs::path& file) {
  const Settings settings = parse_settings(as_text(read_file(file, 64u << 10)));
  const auto module = settings.find("module");
  const auto trust = settings.find("trust-policy");
  if (module == settings.end() || module->second.empty() || !is_for_us(settings)) {
    return std::nullopt;
  }
  if (trust != settings.end() && trust->second == "yes") return std::nullopt;
  const auto init = settings.find("x-init-reserved");
  return ConfiguredModule{file.stem(), fs::path(kModuleFolder) / module->second,
                          init == settings.end() ? "" : init->second};
}

std::vector<fs::path> folders() {
  std::vector<fs::path> folders;
  if (geteuid() != 0) {
    if (const auto xdg = variable("XDG_CONFIG_HOME")) {
      folders.push_back(fs::path(*xdg) / "pkcs11/modules");
    } else if (const auto home = variable("HOME")) {
      folders.push_back(fs::path(*home) / ".config/pkcs11/modules");
    }
  }
  folders.emplace_back(kSystemFolder);
  folders.emplace_back(kPackageFolder);
  return folders;
}

}  // namespace

std::vector<ConfiguredModule> configured_modules() {
  std::map<std::string, std::optional<ConfiguredModule>> by_name;
  for (const fs::path& folder : folders()) {
    std::error_code ignored;  // a folder that is not there configures nothing
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.path().extension() != ".module") continue;
      const std::string name = entry.path().stem();
      if (!by_name.contains(name)) by_name[name] = read_module(entry.path());
    }
  }
  std::vector<ConfiguredModule> modules;
  for (auto& [name, module] : by_name) {
    if (module) modules.push_back(std::move(*module));
  }
  return modules;
}

ConfiguredModule resolve_module(const std::string& path_or_name) {
  if (path_or_name.find('/') != std::string::npos) return {path_or_name, path_or_name, ""};
  std::vector<std::string> names;
  for (ConfiguredModule& module : configured_modules()) {
    if (module.name == path_or_name) return module;
    names.push_back(module.name);
  }
  std::error_code ignored;  // what cannot be a file's name is none
  if (fs::exists(path_or_name, ignored)) return {path_or_name, fs::absolute(path_or_name), ""};
  throw Error(
      Kind::module_load,
      fmt::format("load the module {}: p11-kit has no module of this name", quoted(path_or_name)))
      .hint(names.empty() ? "give the path of a PKCS#11 library"
                          : fmt::format("give the path of a PKCS#11 library, or one of: {}",
                                        fmt::join(names, ", ")));
}

}  // namespace hsmith::tokens
