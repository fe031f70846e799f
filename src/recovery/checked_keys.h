// All keys of an archive, each held against its seal.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "src/recovery/archive.h"

namespace hsmith::recovery {

// Gives `take` each key that is what was sealed, by ascending number. Why the others are not, one
// line each; whether some are missing altogether is verify_archive()'s to say. Throws when the
// database itself fails.
std::vector<std::string> each_checked_key(Archive& archive,
                                          const std::function<void(const KeyRow&)>& take);

}  // namespace hsmith::recovery
