// Several keys of one person.
#pragma once

#include "cli/context.h"
#include "src/recovery/archive.h"

namespace hsmith::cli {

// Warns where the archive has another valid key of the same subject for the same purposes.
void warn_of_other_key(Context& context, recovery::Archive& archive, X509* certificate);

}  // namespace hsmith::cli
