#include "src/recovery/store_plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"

namespace hsmith::recovery {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "hsmith-postgresql.so";

fs::path program_folder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

// What is loaded runs as this user: nobody else may have put it there.
void refuse_unsafe(const fs::path& path) {
  refuse_writable_by_others(path.string(), "the plug-in");
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && (status.st_uid == 0 || status.st_uid == geteuid()))
    return;
  throw Error(Kind::unsafe_permissions,
              fmt::format("load {}: it is another user's", quoted(path.string())))
      .hint(fmt::format("chown root {}", shell_word(path.string())));
}

fs::path find_plugin() {
  const fs::path beside = program_folder();
  const fs::path installed = beside.parent_path() / HSMITH_PLUGIN_FOLDER;
  for (const fs::path& folder : {beside, installed}) {
    if (fs::exists(folder / kName)) return folder / kName;
  }
  throw Error(Kind::unsupported,
              fmt::format("open an archive in PostgreSQL: there is no {} beside hsmith or in {}",
                          kName, quoted(installed.string())))
      .hint("install the plug-in, or keep the archive in sqlite:PATH");
}

}  // namespace

const StorePlugin& load_store_plugin(const fs::path& file) {
  refuse_unsafe(file);
  refuse_unsafe(file.parent_path());
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(Kind::unsupported,
                fmt::format("load {}: {}", quoted(file.string()), printable(dlerror())))
        .hint("install the package libpqxx-6.4");
  }
  const auto* stamp = static_cast<const char*>(dlsym(library, "hsmith_store_stamp"));
  const auto* plugin = static_cast<const StorePlugin*>(dlsym(library, "hsmith_store_plugin"));
  if (stamp != nullptr && plugin != nullptr && std::string_view(stamp) == HSMITH_STORE_STAMP)
    return *plugin;
  throw Error(
      Kind::refused,
      fmt::format("load {}: it was built for {} of hsmith, and this is {}", quoted(file.string()),
                  stamp == nullptr ? "no version" : printable(stamp, 80), HSMITH_STORE_STAMP))
      .hint("install hsmith and its plug-in from the same build");
}

const StorePlugin& store_plugin() {
  static const StorePlugin& plugin = load_store_plugin(find_plugin());
  return plugin;
}

}  // namespace hsmith::recovery
