// Finishing what an interrupted command had begun with keys.
#pragma once

#include "cli/repair.h"

namespace hsmith::cli {

// A pair that was made but not yet given its identity becomes whole; a half goes.
Repaired repair_generation(const tokens::OpenToken& token, const journal::Entry& entry,
                           const Context& context);

// Of a key that was made for an archive the request has the only copy: without it the key is of no
// use.
Repaired repair_archival(const tokens::OpenToken& token, const journal::Entry& entry,
                         Context& context);

// A request by a key that was there before: nothing but its use can have been changed.
Repaired repair_request(const tokens::OpenToken& token, const journal::Entry& entry);

// It is one object, made at once: there or not.
Repaired repair_wrapping_key(const tokens::OpenToken& token, const journal::Entry& entry);

Repaired repair_rename(const tokens::OpenToken& token, const journal::Entry& entry);

Repaired repair_deletion(const tokens::OpenToken& token, const journal::Entry& entry,
                         const Context& context);

// An imported pair becomes whole, and the certificates that came with it are installed.
Repaired repair_import(const tokens::OpenToken& token, const journal::Entry& entry,
                       const Context& context);

}  // namespace hsmith::cli
