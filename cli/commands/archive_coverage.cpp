// hsmith archive coverage: how many keys each agent can open, and which are lost with one.
#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <set>

#include "cli/agent_cards.h"
#include "cli/agents.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/checked_keys.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::vector<std::string> without;
};

struct Coverage {
  AgentCards cards;                                                 // the archive's agents first
  std::map<std::set<std::size_t>, std::vector<std::int64_t>> keys;  // by the cards that open them
  std::vector<std::string> damaged;                                 // rows that say nothing
};

Coverage look(recovery::Archive& archive) {
  Coverage coverage;
  for (const Bytes& agent : agents_of(archive)) card_of(coverage.cards, archive, agent);
  coverage.damaged = recovery::each_checked_key(archive, [&](const recovery::KeyRow& key) {
    std::set<std::size_t> opened_by;
    for (const Bytes& agent : key.agents) opened_by.insert(card_of(coverage.cards, archive, agent));
    coverage.keys[opened_by].push_back(key.id);
  });
  return coverage;
}

// Whether the agent whose card it is gets new keys; "removed" for one that is no agent any longer.
recovery::AgentState state_of(const recovery::Archive& archive, const AgentCard& card,
                              const recovery::Trust& trust) {
  const std::vector<Bytes> agents = agents_of(archive);
  const bool is_agent =
      std::any_of(card.certificates.begin(), card.certificates.end(), [&](const auto& its) {
        return std::find(agents.begin(), agents.end(), its.sha256) != agents.end();
      });
  const auto& shown = card.certificates.front();
  if (is_agent || !shown.certificate)
    return recovery::agent_state(shown, trust, std::time(nullptr));
  return {"removed", "it is no agent of the archive any longer"};
}

Outcome table_of(const Coverage& coverage, const recovery::Archive& archive,
                 const recovery::Trust& trust) {
  Outcome outcome;
  outcome.data["agents"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (std::size_t place = 0; place < coverage.cards.cards.size(); ++place) {
    const AgentCard& card = coverage.cards.cards[place];
    const auto& shown = card.certificates.front();
    const auto state = state_of(archive, card, trust);
    std::size_t count = 0;
    for (const auto& [cards, keys] : coverage.keys)
      count += cards.contains(place) ? keys.size() : 0;
    Json json = agent_json(shown, {}, state);
    json.erase("abilities");
    json["keys"] = count;
    outcome.data["agents"].push_back(std::move(json));
    rows.push_back({hex(shown.sha256).substr(0, 16), recovery::name_of(shown), state.state,
                    fmt::format("{}", count)});
  }
  std::size_t single = 0;
  for (const auto& [cards, keys] : coverage.keys) single += cards.size() == 1 ? keys.size() : 0;
  outcome.data["one_agent_only"] = single;
  outcome.text = table({"ID", "SUBJECT", "STATE", "KEYS"}, rows);
  outcome.text += fmt::format("keys that one agent only can open: {}\n", single);
  return outcome;
}

// The keys that no other card opens, in the order of their numbers.
std::vector<std::int64_t> lost_without(const Coverage& coverage,
                                       const std::set<std::size_t>& without) {
  std::vector<std::int64_t> lost;
  for (const auto& [cards, keys] : coverage.keys) {
    if (std::includes(without.begin(), without.end(), cards.begin(), cards.end()))
      lost.insert(lost.end(), keys.begin(), keys.end());
  }
  std::sort(lost.begin(), lost.end());
  return lost;
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
  Outcome outcome = table_of(coverage, archive, trust_of(context, archive));
  if (!coverage.damaged.empty()) {
    outcome.failures.push_back(
        Error(Kind::mismatch, fmt::format("count who opens which keys: {} are not known: {}",
                                          coverage.damaged.size(), coverage.damaged.front()))
            .hint("look at all of it with: hsmith archive verify"));
  }
  if (options.without.empty()) return outcome;
  std::set<std::size_t> without;
  for (const std::string& id : options.without) without.insert(find_card(coverage.cards, id));
  std::vector<std::string> names;
  for (const std::size_t place : without)
    names.push_back(hex(coverage.cards.cards[place].certificates.front().sha256).substr(0, 16));
  const std::vector<std::int64_t> ids = lost_without(coverage, without);
  outcome.exit = ids.empty() ? 0 : 3;
  outcome.data["lost"] = Json::array();
  outcome.text += fmt::format("lost without {}: {}\n", fmt::join(names, ", "), ids.size());
  for (const std::int64_t id : ids) add_lost_key(outcome, archive, id);
  return outcome;
}

}  // namespace

void add_archive_coverage(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_option(command, options->archive);
  command
      .add_option("--without", options->without,
                  "An agent, by id or subject: which keys are lost with this card, or with all of "
                  "these; exit 3 when there are any")
      .one_each();
  command.footer(
      "Examples:\n  hsmith archive coverage\n"
      "  hsmith archive coverage --without 1b4ab7c0d1e2f304 --without 'CN=Agent 2' --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
