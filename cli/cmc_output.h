// CMC messages as `request show` shows them.
#pragma once

#include <optional>
#include <string>

#include "cli/context.h"

namespace hsmith::cli {

// What a file says that is a CMC request or response, all its bindings verified; nullopt when it is
// neither. Throws malformed, mismatch.
std::optional<Outcome> show_cmc(const Bytes& content, const std::string& file);

}  // namespace hsmith::cli
