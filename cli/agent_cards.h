// The cards of an archive's agents: a key with each certificate that it had. Where the card is
// lost, what was encrypted to any of them is.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/archive_access.h"

namespace hsmith::cli {

// Whether two certificates have one key. Nobody knows of one that the database lost.
bool same_card(const recovery::AgentCertificate& a, const recovery::AgentCertificate& b);

struct AgentCard {
  std::vector<recovery::AgentCertificate> certificates;  // one or more, in the order of card_of()
};

struct AgentCards {
  std::vector<AgentCard> cards;
  std::map<Bytes, std::size_t> by_certificate;  // places in `cards`
};

// The place of an agent's card, by the SHA-256 of its certificate; a new one where it has none yet.
// A certificate that the database lost is a card by itself.
std::size_t card_of(AgentCards& cards, recovery::Archive& archive, const Bytes& agent);

// The place of exactly one card, by any of its certificates, as find_agent() of agents.h. Throws
// not_found, ambiguous.
std::size_t find_card(const AgentCards& cards, const std::string& id);

}  // namespace hsmith::cli
