// An archive's rows from one store to another: backups, and the way from SQLite to PostgreSQL.
#pragma once

#include "src/recovery/store.h"

namespace hsmith::recovery {

// Adds every row of `from`, and its cursor, to an empty store. Commits nothing.
void copy_archive(Store& from, StoreChange& to);

}  // namespace hsmith::recovery
