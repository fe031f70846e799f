// The agents of an archive that may be encrypted to now.
#pragma once

#include "src/recovery/archiving.h"

namespace hsmith::recovery {

struct ValidAgents {
  std::vector<UsableAgent> agents;
  std::string others;  // "; CN=Agent 2 is expired: it expired on ..."
};
// A key is one agent, be it with several certificates: the one that was added last is its.
ValidAgents valid_agents(Archive& archive, const Trust& trust, std::time_t now);

}  // namespace hsmith::recovery
