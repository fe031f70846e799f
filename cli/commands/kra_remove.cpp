// hsmith kra remove: no further keys are encrypted to an agent; its certificate stays.
#include <fmt/format.h>

#include "cli/agents.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string id;
};

Outcome run(const Options& options, Context& context) {
  require_named_archive(context, options.archive);
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::change);
  recovery::ArchiveChange change;
  change.settings = archive.settings;
  auto& agents = change.settings->agents;
  const Bytes sha256 = find_agent(archive, agents_of(archive), options.id);
  std::erase_if(agents, [&](const auto& agent) { return agent.certificate == sha256; });
  const std::string subject = recovery::name_of(recovery::agent_certificate(archive, sha256));
  const std::vector<Change> changes{
      {Change::Kind::destroy, fmt::format("agent {} of {}", subject, archive.store->name())}};
  if (agents.size() < static_cast<std::size_t>(archive.settings.kras_per_key)) {
    context.warn(
        fmt::format("{} agents are left, and {} are needed for each key: nothing can be "
                    "archived until one is added",
                    agents.size(), archive.settings.kras_per_key));
  }
  warn_of_groups(*change.settings, context);
  if (context.options.plan) return planned(changes);
  confirm(context, changes);
  change_settings(context, options.archive, archive, std::move(change), {{"agent", hex(sha256)}});
  Outcome outcome;
  outcome.data = {{"sha256", hex(sha256)}};
  outcome.text = fmt::format("{}: no further keys are encrypted to this agent\n", subject);
  return outcome;
}

}  // namespace

void add_kra_remove(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_change_options(command, options->archive);
  command
      .add_option("ID", options->id,
                  "The agent's id, from kra list, or the subject of its certificate")
      .required();
  command.footer(
      "Examples:\n  hsmith kra remove 1b4ab7c0d1e2f304 --archive sqlite:/srv/keys.db\n"
      "  hsmith kra remove 1b4ab7c0d1e2f304 --archive sqlite:/srv/keys.db --yes");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
