#include "cli/agents.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/recovery/checked_keys.h"
#include "src/recovery/seal.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {

bool is_named(const recovery::AgentCertificate& agent, const std::string& id) {
  return (id.size() >= 8 && hex(agent.sha256).starts_with(lower(id))) ||
         recovery::name_of(agent) == id;
}

Bytes find_agent(recovery::Archive& archive, const std::vector<Bytes>& agents,
                 const std::string& id) {
  std::vector<Bytes> hits;
  std::vector<std::string> candidates;
  for (const Bytes& agent : agents) {
    const auto its = recovery::agent_certificate(archive, agent);
    if (!is_named(its, id)) continue;
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

std::set<Bytes> agents_ever(recovery::Archive& archive, std::vector<std::string>& problems) {
  const std::vector<Bytes> now = agents_of(archive);
  std::set<Bytes> all(now.begin(), now.end());
  try {
    const auto damaged = recovery::each_checked_key(archive, [&](const recovery::KeyRow& key) {
      all.insert(key.agents.begin(), key.agents.end());
    });
    if (damaged.empty()) return all;
  } catch (const Error& error) {  // one that cannot be read
    if (error.kind() != Kind::malformed) throw;
  }
  try {
    all.merge(recovery::agents_of_all_seals(archive));
  } catch (const Error& error) {
    if (error.kind() != Kind::mismatch && error.kind() != Kind::malformed) throw;
    problems.emplace_back(error.what());
  }
  return all;
}

std::optional<std::string> thumbprint_start(const std::string& text) {
  std::string digits = lower(text);
  std::erase_if(digits, [](char c) { return c == ' ' || c == ':'; });
  if (digits.size() < 8 || digits.find_first_not_of("0123456789abcdef") != std::string::npos)
    return std::nullopt;
  return digits;
}

bool has_thumbprint(X509* certificate, const std::string& start) {
  const Bytes der = x509::certificate_der(certificate);
  return hex(recovery::sha256_of(der)).starts_with(start) ||
         hex(ossl::digest(ossl::digest_named("sha1"), der)).starts_with(start);
}

// Two fixed pairs for four agents: one unlucky pair of cards is half of all keys.
void warn_of_groups(const recovery::Settings& settings, Context& context) {
  const auto agents = settings.agents.size();
  const auto count = static_cast<std::size_t>(settings.kras_per_key);
  if (settings.selection != recovery::Selection::round_robin || count < 2 || agents <= count ||
      agents % count != 0) {
    return;
  }
  context.warn(
      fmt::format("{} agents in turn by {} are always the same {} groups: a lost group is "
                  "1/{} of all keys; hsmith archive set selection spread",
                  agents, count, agents / count, agents / count));
}

std::string agent_text(X509* certificate) {
  const auto facts = x509::certificate_facts(certificate);
  return fmt::format("{} ({})", facts.subject, facts.sha256.substr(0, 16));
}

std::string agent_text(const recovery::AgentCertificate& agent) {
  return agent.certificate ? agent_text(agent.certificate.get()) : recovery::name_of(agent);
}

}  // namespace hsmith::cli
