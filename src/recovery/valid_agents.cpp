#include "src/recovery/valid_agents.h"

#include <fmt/format.h>

#include "src/x509/certificate.h"

namespace hsmith::recovery {

ValidAgents valid_agents(Archive& archive, const Trust& trust, std::time_t now) {
  ValidAgents valid;
  for (const Agent& agent : archive.settings.agents) {
    ossl::Certificate certificate = checked_certificate(archive, agent.certificate);
    const AgentState state = agent_state(certificate.get(), trust, now);
    if (state.usable()) {
      valid.agents.push_back({std::move(certificate), agent.abilities.front(), agent.certificate});
    } else {
      valid.others +=
          fmt::format("; {} is {}: {}", x509::certificate_facts(certificate.get()).subject,
                      state.state, state.cause);
    }
  }
  return valid;
}

}  // namespace hsmith::recovery
