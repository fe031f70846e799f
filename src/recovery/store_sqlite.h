// The archive in one SQLite file.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "src/recovery/store.h"

namespace hsmith::recovery {

// Makes one with the rows that `fill` adds, whole or not at all. Throws exists, io.
void create_sqlite_store(const std::filesystem::path& file,
                         const std::function<void(StoreChange&)>& fill = {});

// Throws not_found, malformed, unsafe_permissions, io as Database does.
std::unique_ptr<Store> open_sqlite_store(const std::filesystem::path& file, StoreMode mode);

}  // namespace hsmith::recovery
