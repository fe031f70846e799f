// What hsmith is for, done once with session keys: from the key to the result, verified.
#pragma once

#include <string>
#include <vector>

#include "tokens/probe.h"

namespace hsmith::cli {

// "sign", "csr", "cms-decrypt", "kra", "backup". Throws usage with the nearest one.
void check_probe_goal(const std::string& goal);
std::vector<tokens::ProbeRow> probe_cycle(const std::string& goal, const tokens::Probe& probe);

}  // namespace hsmith::cli
