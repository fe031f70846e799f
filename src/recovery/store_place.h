// Where an archive is: a file of SQLite or a database of PostgreSQL.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "src/recovery/store.h"

namespace hsmith::recovery {

struct StorePlace {
  std::filesystem::path file;  // of SQLite
  std::string url;             // of PostgreSQL, when there is no file

  std::string name() const;  // "sqlite:/path", or the URL
};

// "sqlite:PATH" or "postgresql://…". Throws usage for anything else.
StorePlace parse_store_place(std::string_view text);

// For a URL of PostgreSQL these load the plug-in, and throw what load_store_plugin() throws.
bool store_exists(const StorePlace& place);
// Makes an empty one. Throws exists, io.
void create_store(const StorePlace& place);
// Throws not_found when there is none, and what the store throws.
std::unique_ptr<Store> open_store(const StorePlace& place, StoreMode mode);
// True for a store with at least one seal; one without is what an interrupted command left.
bool holds_archive(const StorePlace& place);

}  // namespace hsmith::recovery
