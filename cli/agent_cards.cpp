#include "cli/agent_cards.h"

#include <algorithm>
#include <fmt/format.h>

#include "cli/agents.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {

bool same_card(const recovery::AgentCertificate& a, const recovery::AgentCertificate& b) {
  return a.certificate && b.certificate &&
         ossl::same_public_key(x509::public_key_of(a.certificate.get()),
                               x509::public_key_of(b.certificate.get()));
}

std::size_t card_of(AgentCards& cards, recovery::Archive& archive, const Bytes& agent) {
  const auto known = cards.by_certificate.find(agent);
  if (known != cards.by_certificate.end()) return known->second;
  auto its = recovery::agent_certificate(archive, agent);
  const auto same = std::find_if(
      cards.cards.begin(), cards.cards.end(),
      [&](const AgentCard& card) { return same_card(card.certificates.front(), its); });
  const auto place = static_cast<std::size_t>(same - cards.cards.begin());
  if (same == cards.cards.end()) cards.cards.emplace_back();
  cards.cards[place].certificates.push_back(std::move(its));
  cards.by_certificate[agent] = place;
  return place;
}

std::size_t find_card(const AgentCards& cards, const std::string& id) {
  std::vector<std::size_t> hits;
  std::vector<std::string> candidates;
  for (std::size_t place = 0; place < cards.cards.size(); ++place) {
    const auto& certificates = cards.cards[place].certificates;
    const auto named = std::find_if(certificates.begin(), certificates.end(),
                                    [&](const auto& its) { return is_named(its, id); });
    if (named == certificates.end()) continue;
    hits.push_back(place);
    candidates.push_back(agent_text(*named));
  }
  if (hits.size() == 1) return hits.front();
  throw Error(hits.empty() ? Kind::not_found : Kind::ambiguous,
              fmt::format("find the agent {}: {} match", quoted(id), hits.size()))
      .hint(
          "an ID is the start of the certificate's SHA-256, 8 digits or more: hsmith archive "
          "coverage")
      .candidates(std::move(candidates));
}

}  // namespace hsmith::cli
