// The archive in one SQLite file.
#pragma once

#include <filesystem>
#include <memory>

#include "src/recovery/store.h"

namespace hsmith::recovery {

// Makes an empty one. Throws exists, io.
void create_sqlite_store(const std::filesystem::path& file);

enum class StoreMode { read, change };

// Throws not_found, malformed, unsafe_permissions, io as Database does.
std::unique_ptr<Store> open_sqlite_store(const std::filesystem::path& file, StoreMode mode);

}  // namespace hsmith::recovery
