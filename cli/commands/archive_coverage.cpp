// hsmith archive coverage: how many keys each agent can open, and which are lost with one.
#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <map>

#include "cli/agents.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string without;
};

struct Coverage {
  std::map<Bytes, std::size_t> keys;  // by agent
  std::vector<std::int64_t> lost;     // keys that nobody opens when the agent is gone
  std::size_t single = 0;             // keys that one agent only can open
};

Coverage look(recovery::Archive& archive, const Bytes& without) {
  Coverage coverage;
  for (const auto& agent : archive.settings.agents) coverage.keys[agent.certificate] = 0;
  archive.store->each_key([&](const recovery::KeyRow& key) {
    for (const Bytes& agent : key.agents) ++coverage.keys[agent];
    coverage.single += key.agents.size() == 1;
    if (!without.empty() && key.agents.size() == 1 && key.agents.front() == without)
      coverage.lost.push_back(key.id);
  });
  return coverage;
}

Outcome run(const Options& options, Context& context) {
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  Bytes without;
  if (!options.without.empty()) {
    std::vector<Bytes> agents;
    for (const auto& [agent, keys] : look(archive, {}).keys) agents.push_back(agent);
    without = find_agent(archive, agents, options.without);
  }
  const Coverage coverage = look(archive, without);
  const recovery::Trust trust = trust_of(context, archive);
  Outcome outcome;
  outcome.data["agents"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const auto& [agent, keys] : coverage.keys) {
    const auto its = recovery::agent_certificate(archive, agent);
    const auto state = recovery::agent_state(its, trust, std::time(nullptr));
    Json json = agent_json(its, {}, state);
    json.erase("abilities");
    json["keys"] = keys;
    outcome.data["agents"].push_back(std::move(json));
    rows.push_back(
        {hex(agent).substr(0, 16), recovery::name_of(its), state.state, fmt::format("{}", keys)});
  }
  outcome.data["one_agent_only"] = coverage.single;
  outcome.text = table({"ID", "SUBJECT", "STATE", "KEYS"}, rows);
  outcome.text += fmt::format("keys that one agent only can open: {}\n", coverage.single);
  if (without.empty()) return outcome;
  outcome.exit = coverage.lost.empty() ? 0 : 3;
  outcome.data["lost"] = Json::array();
  outcome.text +=
      fmt::format("lost without {}: {}\n", hex(without).substr(0, 16), coverage.lost.size());
  for (const std::int64_t id : coverage.lost) {
    const auto key = recovery::checked_key(archive, id);
    const auto facts =
        x509::certificate_facts(recovery::checked_certificate(archive, key.certificate).get());
    outcome.data["lost"].push_back(
        {{"number", id}, {"subject", json_text(facts.subject)}, {"serial", facts.serial}});
    outcome.text += fmt::format("  serial {} {}\n", facts.serial, facts.subject);
  }
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
