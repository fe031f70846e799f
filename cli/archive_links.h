// Certificates that lead from what an anchor's authority issued to the anchor that an archive has.
#pragma once

#include <vector>

#include "cli/context.h"
#include "src/recovery/agents.h"

namespace hsmith::cli {

// Cross-certificates of the anchors' authorities: of an anchor's name, for another key of it, with
// a path to an anchor now. From the authorities and the chains in the state folder; they are
// trusted no further than that path.
std::vector<ossl::Certificate> archive_links(const recovery::Trust& trust, Context& context);

}  // namespace hsmith::cli
