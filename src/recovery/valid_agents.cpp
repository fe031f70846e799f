#include "src/recovery/valid_agents.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/recovery/agent_certificates.h"
#include "src/x509/certificate.h"
#include "src/x509/public_key.h"

namespace hsmith::recovery {

namespace {

// The agent among them that has the same key.
std::vector<UsableAgent>::iterator same_card(std::vector<UsableAgent>& agents, X509* certificate) {
  return std::find_if(agents.begin(), agents.end(), [&](const UsableAgent& agent) {
    return ossl::same_public_key(x509::public_key_of(agent.certificate.get()),
                                 x509::public_key_of(certificate));
  });
}

}  // namespace

ValidAgents valid_agents(Archive& archive, const Trust& trust, std::time_t now) {
  ValidAgents valid;
  for (const Agent& agent : archive.settings.agents) {
    AgentCertificate its = agent_certificate(archive, agent.certificate);
    const AgentState state = agent_state(its, trust, now);
    if (!state.usable()) {
      valid.others += fmt::format("; {} is {}: {}", name_of(its), state.state, state.cause);
      continue;
    }
    const auto other = same_card(valid.agents, its.certificate.get());
    if (other == valid.agents.end()) {
      valid.agents.push_back(
          {std::move(its.certificate), agent.abilities.front(), agent.certificate});
      continue;
    }
    valid.others += fmt::format("; {} has one key with two certificates", name_of(its));
    *other = {std::move(its.certificate), agent.abilities.front(), agent.certificate};
  }
  return valid;
}

}  // namespace hsmith::recovery
