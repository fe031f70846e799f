// hsmith kra list: the recovery agents with their states and abilities.
#include <ctime>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/archive_access.h"
#include "cli/commands.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

std::string until(const recovery::AgentCertificate& agent) {
  if (!agent.certificate) return "";
  return rfc3339(x509::certificate_facts(agent.certificate.get()).not_after);
}

Outcome run(const ArchiveOptions& options, Context& context) {
  recovery::Archive archive = open_archive(context, options, recovery::StoreMode::read);
  const recovery::Trust trust = trust_of(context, archive);
  Outcome outcome;
  outcome.data["agents"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const auto& agent : archive.settings.agents) {
    const auto its = recovery::agent_certificate(archive, agent.certificate);
    const auto state = recovery::agent_state(its, trust, std::time(nullptr));
    outcome.data["agents"].push_back(agent_json(its, agent.abilities, state));
    rows.push_back({hex(agent.certificate).substr(0, 16), recovery::name_of(its), until(its),
                    state.cause.empty() ? state.state : state.state + ": " + state.cause,
                    fmt::format("{}", fmt::join(agent.abilities, ","))});
  }
  outcome.text = table({"ID", "SUBJECT", "UNTIL", "STATE", "ABILITIES"}, rows);
  return outcome;
}

}  // namespace

void add_kra_list(Arguments& command, Context& context) {
  auto options = std::make_shared<ArchiveOptions>();
  add_archive_option(command, *options);
  command.footer("Examples:\n  hsmith kra list\n  hsmith kra list --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
