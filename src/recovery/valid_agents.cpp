#include "src/recovery/valid_agents.h"

#include <fmt/format.h>

#include "src/recovery/agent_certificates.h"

namespace hsmith::recovery {

ValidAgents valid_agents(Archive& archive, const Trust& trust, std::time_t now) {
  ValidAgents valid;
  for (const Agent& agent : archive.settings.agents) {
    AgentCertificate its = agent_certificate(archive, agent.certificate);
    const AgentState state = agent_state(its, trust, now);
    if (state.usable()) {
      valid.agents.push_back(
          {std::move(its.certificate), agent.abilities.front(), agent.certificate});
    } else {
      valid.others += fmt::format("; {} is {}: {}", name_of(its), state.state, state.cause);
    }
  }
  return valid;
}

}  // namespace hsmith::recovery
