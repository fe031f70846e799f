#include "src/recovery/agent_certificates.h"

#include <algorithm>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::recovery {

KnownCertificates known_certificates(Archive& archive, const std::vector<Bytes>& hashes) {
  KnownCertificates known;
  for (const Bytes& sha256 : hashes) {
    try {
      known.certificates.push_back(checked_certificate(archive, sha256));
    } catch (const Error& error) {
      if (error.kind() != Kind::mismatch && error.kind() != Kind::malformed) throw;
      known.problems.emplace_back(error.what());
    }
  }
  return known;
}

AgentCertificate agent_certificate(Archive& archive, ByteView sha256) {
  KnownCertificates known = known_certificates(archive, {to_bytes(sha256)});
  AgentCertificate agent;
  agent.sha256 = to_bytes(sha256);
  if (!known.certificates.empty()) agent.certificate = std::move(known.certificates.front());
  if (!known.problems.empty()) agent.problem = known.problems.front();
  return agent;
}

std::string name_of(const AgentCertificate& agent) {
  if (!agent.certificate) return "agent " + hex(agent.sha256).substr(0, 16);
  return x509::certificate_facts(agent.certificate.get()).subject;
}

AgentState agent_state(const AgentCertificate& agent, const Trust& trust, std::time_t now) {
  if (!agent.certificate) return {"missing", agent.problem};
  return agent_state(agent.certificate.get(), trust, now);
}

KeyAgents agents_of(Archive& archive, const KeyRow& key) {
  KeyAgents agents;
  for (const Bytes& sha256 : key.agents) {
    AgentCertificate agent = agent_certificate(archive, sha256);
    if (agent.certificate) agents.known.push_back(std::move(agent.certificate));
  }
  if (agents.known.size() == key.agents.size()) return agents;
  agents.envelope = read_envelope(key.blob, "the archived key");
  for (const cms::Recipient& recipient : agents.envelope.data.recipients) {
    const bool is_known = std::any_of(
        agents.known.begin(), agents.known.end(),
        [&](const auto& certificate) { return cms::names(recipient.name, certificate.get()); });
    if (!is_known) agents.unknown.push_back(&recipient);
  }
  return agents;
}

}  // namespace hsmith::recovery
