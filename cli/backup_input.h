// A key backup, from the file that the user names.
#pragma once

#include <string>

#include "tokens/backup_file.h"

namespace hsmith::cli {

// Throws malformed with what the file is where it is none.
tokens::Backup read_backup_file(const std::string& file);

}  // namespace hsmith::cli
