// hsmith kra remove: no further keys are encrypted to an agent; its certificate stays.
#include <algorithm>
#include <fmt/format.h>

#include "cli/archive_access.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string id;
};

// By the start of the certificate's SHA-256, 8 digits or more, or by its subject.
std::size_t only_agent(recovery::Archive& archive, const std::string& id) {
  const auto& agents = archive.settings.agents;
  std::vector<std::size_t> hits;
  for (std::size_t i = 0; i < agents.size(); ++i) {
    const auto certificate = recovery::checked_certificate(archive, agents[i].certificate);
    const bool named = id.size() >= 8 && hex(agents[i].certificate).starts_with(lower(id));
    if (named || x509::certificate_facts(certificate.get()).subject == id) hits.push_back(i);
  }
  if (hits.size() == 1) return hits.front();
  throw Error(hits.empty() ? Kind::not_found : Kind::ambiguous,
              fmt::format("remove the agent {}: {} agents match", quoted(id), hits.size()))
      .hint("an ID is the start of the certificate's SHA-256, 8 digits or more: hsmith kra list");
}

Outcome run(const Options& options, Context& context) {
  require_named_archive(context, options.archive);
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::change);
  recovery::ArchiveChange change;
  change.settings = archive.settings;
  auto& agents = change.settings->agents;
  const std::size_t index = only_agent(archive, options.id);
  const Bytes sha256 = agents[index].certificate;
  agents.erase(agents.begin() + static_cast<ptrdiff_t>(index));
  const auto certificate = recovery::checked_certificate(archive, sha256);
  const std::string subject = x509::certificate_facts(certificate.get()).subject;
  const std::vector<Change> changes{
      {Change::Kind::destroy, fmt::format("agent {} of {}", subject, archive.store->name())}};
  if (agents.size() < static_cast<std::size_t>(archive.settings.kras_per_key)) {
    context.warn(
        fmt::format("{} agents are left, and {} are needed for each key: nothing can be "
                    "archived until one is added",
                    agents.size(), archive.settings.kras_per_key));
  }
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
