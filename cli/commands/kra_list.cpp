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

Outcome run(const ArchiveOptions& options, Context& context) {
  recovery::Archive archive = open_archive(context, options, recovery::StoreMode::read);
  const recovery::Trust trust = trust_of(context, archive);
  Outcome outcome;
  outcome.data["agents"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const auto& agent : archive.settings.agents) {
    const auto certificate = recovery::checked_certificate(archive, agent.certificate);
    const auto state = recovery::agent_state(certificate.get(), trust, std::time(nullptr));
    outcome.data["agents"].push_back(agent_json(certificate.get(), agent.abilities, state));
    const auto facts = x509::certificate_facts(certificate.get());
    rows.push_back({facts.sha256.substr(0, 16), facts.subject, rfc3339(facts.not_after),
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
