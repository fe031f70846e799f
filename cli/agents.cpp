#include "cli/agents.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {

Bytes find_agent(recovery::Archive& archive, const std::vector<Bytes>& agents,
                 const std::string& id) {
  std::vector<Bytes> hits;
  std::vector<std::string> candidates;
  for (const Bytes& agent : agents) {
    const auto its = recovery::agent_certificate(archive, agent);
    const bool named = id.size() >= 8 && hex(agent).starts_with(lower(id));
    if (!named && recovery::name_of(its) != id) continue;
    hits.push_back(agent);
    candidates.push_back(agent_text(its));
  }
  if (hits.size() == 1) return hits.front();
  throw Error(hits.empty() ? Kind::not_found : Kind::ambiguous,
              fmt::format("find the agent {}: {} match", quoted(id), hits.size()))
      .hint("an ID is the start of the certificate's SHA-256, 8 digits or more: hsmith kra list")
      .candidates(std::move(candidates));
}

std::vector<Bytes> agents_of(const recovery::Archive& archive) {
  std::vector<Bytes> agents;
  for (const auto& agent : archive.settings.agents) agents.push_back(agent.certificate);
  return agents;
}

std::string agent_text(X509* certificate) {
  const auto facts = x509::certificate_facts(certificate);
  return fmt::format("{} ({})", facts.subject, facts.sha256.substr(0, 16));
}

std::string agent_text(const recovery::AgentCertificate& agent) {
  return agent.certificate ? agent_text(agent.certificate.get()) : recovery::name_of(agent);
}

}  // namespace hsmith::cli
