#include "src/base/environment.h"

#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <pwd.h>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "src/base/error.h"

namespace hsmith {
namespace {

namespace fs = std::filesystem;

bool holds_a_secret(std::string_view name) {
  return name.starts_with("HSMITH_") && (name.ends_with("PIN") || name.ends_with("PASSWORD"));
}

// Copies the value out of the process environment and overwrites it where it was: /proc shows that
// memory even after unsetenv. nullopt when the variable is not set.
std::optional<Secret> take_out(const std::string& name) {
  std::optional<Secret> secret;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!text.starts_with(name + '=')) continue;
    char* value = *entry + name.size() + 1;
    const std::size_t size = std::strlen(value);
    // Of a name that is there twice getenv() means the first.
    if (!secret) secret.emplace(std::string_view(value, size));
    wipe(value, size);
  }
  unsetenv(name.c_str());
  return secret;
}

std::vector<std::string> names_of_secrets() {
  std::vector<std::string> names;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (name.size() < text.size() && holds_a_secret(name)) names.emplace_back(name);
  }
  return names;
}

fs::path home_folder() {
  if (const auto home = variable("HOME")) return *home;
  const passwd* user = getpwuid(geteuid());
  if (user != nullptr && user->pw_dir != nullptr && *user->pw_dir != '\0') return user->pw_dir;
  throw Error(Kind::configuration, "find the folder for hsmith's state: there is no home folder")
      .hint("set HSMITH_STATE and HOME");
}

// A folder of the XDG Base Directory Specification, which says to ignore relative ones.
fs::path xdg_folder(const char* name, std::string_view below_home) {
  const auto value = variable(name);
  if (value && value->starts_with('/')) return fs::path(*value) / "hsmith";
  return home_folder() / below_home / "hsmith";
}

}  // namespace

Environment take_environment() {
  Environment environment;
  for (const std::string& name : names_of_secrets()) secret_variable(environment, name);
  const auto state = variable("HSMITH_STATE");
  environment.state_folder =
      state ? fs::absolute(*state) : xdg_folder("XDG_STATE_HOME", ".local/state");
  environment.configuration_folder = xdg_folder("XDG_CONFIG_HOME", ".config");
  const auto runtime = variable("XDG_RUNTIME_DIR");
  if (runtime && runtime->starts_with('/')) environment.runtime_folder = *runtime;
  return environment;
}

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::optional<Secret> secret_variable(Environment& environment, const std::string& name) {
  if (auto secret = take_out(name)) environment.secrets.insert_or_assign(name, std::move(*secret));
  const auto found = environment.secrets.find(name);
  if (found == environment.secrets.end()) return std::nullopt;
  return Secret(found->second.reveal());
}

}  // namespace hsmith
