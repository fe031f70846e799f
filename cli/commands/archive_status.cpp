// hsmith archive status: settings, agents and counts of an archive.
#include <ctime>
#include <fmt/format.h>

#include "cli/archive_access.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/valid_agents.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

// Whether it can be told whose turn it is: without that nothing is archived.
bool has_cursor(recovery::Store& store) {
  try {
    store.cursor();
    return true;
  } catch (const Error& error) {
    if (error.kind() != Kind::malformed) throw;
    return false;
  }
}

Outcome run(const ArchiveOptions& options, Context& context) {
  recovery::Archive archive = open_archive(context, options, recovery::StoreMode::read);
  const recovery::Settings& settings = archive.settings;
  const recovery::Trust trust = trust_of(context, archive);
  const std::size_t usable =
      recovery::valid_agents(archive, trust, std::time(nullptr)).agents.size();
  const std::int64_t keys = archive.store->count_keys();
  const bool ready =
      usable >= static_cast<std::size_t>(settings.kras_per_key) && has_cursor(*archive.store);
  Outcome outcome;
  outcome.data = {{"archive", json_text(archive.store->name())},
                  {"id", settings.id},
                  {"seals", archive.last_seal},
                  {"keys", keys},
                  {"kras_per_key", settings.kras_per_key},
                  {"selection", recovery::selection_name(settings.selection)},
                  {"allow_foreign", settings.allow_foreign},
                  {"role_separation", settings.role_separation},
                  {"require_revoked", settings.require_revoked},
                  {"agents", settings.agents.size()},
                  {"agents_usable", usable},
                  {"officers", settings.officers.size()},
                  {"ready", ready}};
  outcome.text = fmt::format(
      "{}\nkeys: {}\nagents: {}, of which {} can be encrypted to, {} are needed for each key "
      "({})\nofficers: {}\nforeign certificates: {}\nofficers may have the seal key: {}\n"
      "given out: {}\nready to archive: {}\n",
      printable(archive.store->name()), keys, settings.agents.size(), usable, settings.kras_per_key,
      recovery::selection_name(settings.selection), settings.officers.size(),
      settings.allow_foreign ? "allowed" : "refused", settings.role_separation ? "no" : "yes",
      settings.require_revoked ? "keys of revoked certificates only" : "every key",
      ready ? "yes" : "NO");
  return outcome;
}

}  // namespace

void add_archive_status(Arguments& command, Context& context) {
  auto options = std::make_shared<ArchiveOptions>();
  add_archive_option(command, *options);
  command.footer(
      "Examples:\n  hsmith archive status\n  hsmith archive status --archive sqlite:/srv/keys.db");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
