// A key backup, from the file that the user names.
#pragma once

#include <string>

#include "src/base/error.h"
#include "tokens/backup_file.h"

namespace hsmith::cli {

// Throws malformed with what the file is where it is none.
tokens::Backup read_backup_file(const std::string& file);

// Throws io where the file of a database backup cannot be opened, malformed where it is a folder:
// what a store is opened with says of such a file that there is no such store.
void check_database_file(const std::string& file);

// What `work` makes of such a file, which could be opened: a database that cannot be read further
// is malformed.
template <typename Work>
auto read_database_file(const std::string& file, Work work) {
  check_database_file(file);
  try {
    return work();
  } catch (const Error& error) {
    if (error.kind() != Kind::io) throw;
    throw Error(Kind::malformed, error.what());
  }
}

}  // namespace hsmith::cli
