// hsmith archive coverage: how many keys each agent can open, and which are lost with one.
#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <map>
#include <set>

#include "cli/agents.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/recovery/checked_keys.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string without;
};

// An agent's key, with each certificate that it had: lost once, all of them are.
struct Card {
  recovery::AgentCertificate shown;  // the archive's agent, where it is one still
  std::vector<Bytes> certificates;
  std::size_t keys = 0;
};

struct Coverage {
  std::vector<Card> cards;
  std::map<std::set<std::size_t>, std::vector<std::int64_t>> keys;  // by the cards that open them
  std::vector<std::string> damaged;                                 // rows that say nothing
};

bool same_card(const recovery::AgentCertificate& a, const recovery::AgentCertificate& b) {
  return a.certificate && b.certificate &&
         ossl::same_public_key(x509::public_key_of(a.certificate.get()),
                               x509::public_key_of(b.certificate.get()));
}

std::size_t card_of(Coverage& coverage, recovery::Archive& archive, const Bytes& sha256) {
  auto its = recovery::agent_certificate(archive, sha256);
  auto& cards = coverage.cards;
  const auto same = std::find_if(cards.begin(), cards.end(),
                                 [&](const Card& card) { return same_card(card.shown, its); });
  const auto index = static_cast<std::size_t>(same - cards.begin());
  if (same == cards.end()) cards.push_back({std::move(its), {}, 0});
  cards[index].certificates.push_back(sha256);
  return index;
}

Coverage look(recovery::Archive& archive) {
  Coverage coverage;
  std::map<Bytes, std::size_t> known;  // cards, by certificate
  const auto card = [&](const Bytes& agent) {
    const auto there = known.find(agent);
    if (there != known.end()) return there->second;
    return known[agent] = card_of(coverage, archive, agent);
  };
  for (const Bytes& agent : agents_of(archive)) card(agent);
  coverage.damaged = recovery::each_checked_key(archive, [&](const recovery::KeyRow& key) {
    std::set<std::size_t> opened_by;
    for (const Bytes& agent : key.agents) opened_by.insert(card(agent));
    for (const std::size_t index : opened_by) ++coverage.cards[index].keys;
    coverage.keys[opened_by].push_back(key.id);
  });
  return coverage;
}

// By any certificate that the card had; a renewed one has the subject of the one before it.
std::size_t find_card(recovery::Archive& archive, const Coverage& coverage, const std::string& id) {
  std::vector<Bytes> names;
  for (const Card& card : coverage.cards) {
    const auto named =
        std::find_if(card.certificates.begin(), card.certificates.end(),
                     [&](const Bytes& sha256) { return hex(sha256).starts_with(lower(id)); });
    names.push_back(named == card.certificates.end() ? card.shown.sha256 : *named);
  }
  const Bytes found = find_agent(archive, names, id);
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), found) - names.begin());
}

Outcome table_of(const Coverage& coverage, const recovery::Trust& trust) {
  Outcome outcome;
  outcome.data["agents"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const Card& card : coverage.cards) {
    const auto state = recovery::agent_state(card.shown, trust, std::time(nullptr));
    Json json = agent_json(card.shown, {}, state);
    json.erase("abilities");
    json["keys"] = card.keys;
    outcome.data["agents"].push_back(std::move(json));
    rows.push_back({hex(card.shown.sha256).substr(0, 16), recovery::name_of(card.shown),
                    state.state, fmt::format("{}", card.keys)});
  }
  std::size_t single = 0;
  for (const auto& [cards, keys] : coverage.keys) single += cards.size() == 1 ? keys.size() : 0;
  outcome.data["one_agent_only"] = single;
  outcome.text = table({"ID", "SUBJECT", "STATE", "KEYS"}, rows);
  outcome.text += fmt::format("keys that one agent only can open: {}\n", single);
  return outcome;
}

void add_lost_key(Outcome& outcome, recovery::Archive& archive, std::int64_t id) {
  Json json{{"number", id}};
  const auto key = recovery::checked_key(archive, id);
  const auto its = recovery::known_certificates(archive, {key.certificate}).certificates;
  if (its.empty()) {
    outcome.text += fmt::format("  key {}, whose certificate is missing\n", id);
  } else {
    const auto facts = x509::certificate_facts(its.front().get());
    json["subject"] = json_text(facts.subject);
    json["serial"] = facts.serial;
    outcome.text += fmt::format("  serial {} {}\n", facts.serial, facts.subject);
  }
  outcome.data["lost"].push_back(std::move(json));
}

Outcome run(const Options& options, Context& context) {
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  const Coverage coverage = look(archive);
  Outcome outcome = table_of(coverage, trust_of(context, archive));
  if (!coverage.damaged.empty()) {
    outcome.failures.push_back(
        Error(Kind::mismatch, fmt::format("count who opens which keys: {} are not known: {}",
                                          coverage.damaged.size(), coverage.damaged.front()))
            .hint("look at all of it with: hsmith archive verify"));
  }
  if (options.without.empty()) return outcome;
  const std::size_t without = find_card(archive, coverage, options.without);
  const auto lost = coverage.keys.find({without});
  const auto ids = lost == coverage.keys.end() ? std::vector<std::int64_t>{} : lost->second;
  outcome.exit = ids.empty() ? 0 : 3;
  outcome.data["lost"] = Json::array();
  outcome.text += fmt::format("lost without {}: {}\n",
                              hex(coverage.cards[without].shown.sha256).substr(0, 16), ids.size());
  for (const std::int64_t id : ids) add_lost_key(outcome, archive, id);
  return outcome;
}

}  // namespace

void add_archive_coverage(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_option(command, options->archive);
  command.add_option(
      "--without", options->without,
      "An agent's id: which keys are lost with this card; exit 3 when there are any");
  command.footer(
      "Examples:\n  hsmith archive coverage\n"
      "  hsmith archive coverage --without 1b4ab7c0d1e2f304 --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
