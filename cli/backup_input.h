// A key backup, from the file that the user names.
#pragma once

#include <string>

#include "tokens/backup_file.h"

namespace hsmith::cli {

// Throws malformed with what the file is where it is none.
tokens::Backup read_backup_file(const std::string& file);

// Throws io where the file of a database backup cannot be opened, malformed where it is a folder:
// what a store is opened with says of such a file that there is no such store.
void check_database_file(const std::string& file);

}  // namespace hsmith::cli
