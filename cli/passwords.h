// Passwords of files, and memory that may hold the keys in them.
#pragma once

#include <optional>
#include <string>

#include "cli/context.h"
#include "src/base/secret.h"

namespace hsmith::cli {

// To be called first by a command that reads private keys outside of a token: their memory is
// wiped when it is given back, and locked; a warning where it cannot be.
void guard_keys(Context& context);

// The password that opens a file: from `source` (--password-source), else asked for at the
// terminal. Throws pin_missing when there is neither. Must run before a module is loaded.
Secret file_password(Context& context, const std::optional<std::string>& source,
                     const std::string& file);

// The password of a file that is to be written (--out-password-source); asked for twice.
Secret new_password(Context& context, const std::optional<std::string>& source,
                    const std::string& file);

}  // namespace hsmith::cli
