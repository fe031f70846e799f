// The PostgreSQL store is a plug-in, hsmith-postgresql.so: linking libpq would cost every start of
// hsmith two milliseconds.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "src/recovery/store.h"

namespace hsmith::recovery {

// What the plug-in exports as hsmith_store_plugin, of a build whose stamp is the same.
struct StorePlugin {
  bool (*exists)(const std::string& url);
  void (*create)(const std::string& url);
  std::unique_ptr<Store> (*open)(const std::string& url, StoreMode mode);
};

// The plug-in beside this program, else in the folder where hsmith is installed. Loaded once.
// Throws unsupported when there is none, unsafe_permissions when others may write to it, refused
// when it was built for another version of hsmith.
const StorePlugin& store_plugin();
const StorePlugin& load_store_plugin(const std::filesystem::path& file);

}  // namespace hsmith::recovery
