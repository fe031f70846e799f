// Finishing what an interrupted ca command had begun.
#pragma once

#include "cli/authority.h"
#include "cli/repair.h"

namespace hsmith::cli {

// ca init: the file is the last thing that is made. With it the authority is there and its token is
// brought up to it; without it the key is of no use.
Repaired repair_authority(const tokens::OpenToken& token, const journal::Entry& entry,
                          Context& context);

// ca renew: a key that no certificate of the authority is for goes again.
Repaired repair_renewal(const tokens::OpenToken& token, const journal::Entry& entry,
                        Context& context);

// ca issue: what was begun is either on record, and is written, or was never given. Needs no token.
Repaired repair_issue(const journal::Entry& entry, Context& context);

// archive submit: a certificate whose key is in the archive is recorded and written; what is not
// there was never given. Needs no token.
Repaired repair_submission(const journal::Entry& entry, Context& context);
// The same with an authority that is open for changes.
Repaired finish_submission(const journal::Entry& entry, OpenAuthority& authority, Context& context);

}  // namespace hsmith::cli
