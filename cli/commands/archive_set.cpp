// hsmith archive set: one setting of an archive, sealed anew.
#include <charconv>
#include <fmt/format.h>

#include "cli/agents.h"
#include "cli/archive_crls.h"
#include "cli/commands.h"
#include "cli/officer.h"
#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string name;
  std::string value;
};

int number_of(const std::string& text) {
  int number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && rest == text.data() + text.size() && number >= 1) return number;
  throw Error(Kind::usage,
              fmt::format("set kras-per-key to {}: it is no number from 1", quoted(text)));
}

void set_count(recovery::Settings& settings, const std::string& value) {
  const int count = number_of(value);
  if (static_cast<std::size_t>(count) > settings.agents.size()) {
    throw Error(Kind::refused, fmt::format("set kras-per-key to {}: the archive has {} agents",
                                           count, settings.agents.size()))
        .hint("add agents first: hsmith kra add CERT");
  }
  settings.kras_per_key = count;
}

bool yes_or_no(const std::string& name, const std::string& value) {
  if (value == "yes" || value == "no") return value == "yes";
  throw Error(Kind::usage, fmt::format("set {} to {}: expected yes or no", name, quoted(value)));
}

void apply(recovery::Archive& archive, recovery::ArchiveChange& change, const std::string& name,
           const std::string& value, Context& context) {
  static const std::vector<std::string> kNames{
      "kras-per-key", "selection", "allow-foreign", "crl", "role-separation", "require-revoked"};
  recovery::Settings& settings = *change.settings;
  if (name == kNames[0]) return set_count(settings, value);
  if (name == kNames[1]) {
    settings.selection = recovery::selection_named(value);
    return;
  }
  if (name == kNames[2]) {
    settings.allow_foreign = yes_or_no(name, value);
    return;
  }
  if (name == kNames[3]) {
    take_crls(value, trust_of(context, archive), archived_crls(archive), change, context);
    return;
  }
  if (name == kNames[4]) {
    settings.role_separation = yes_or_no(name, value);
    return;
  }
  if (name == kNames[5]) {
    settings.require_revoked = yes_or_no(name, value);
    return;
  }
  const auto near = did_you_mean(name, kNames);
  throw Error(Kind::usage, fmt::format("set {}: there is no such setting", quoted(name)))
      .hint(near ? fmt::format("did you mean {}?", *near)
                 : "settings are kras-per-key, selection, allow-foreign, crl, role-separation and "
                   "require-revoked");
}

void refuse_officers_with_seal_key(recovery::Archive& archive, const recovery::Settings& settings) {
  if (!settings.role_separation) return;
  for (const auto& officer : settings.officers) {
    const auto its = recovery::checked_certificate(archive, officer.certificate);
    refuse_two_roles(settings, its.get(), archive.seal_certificate.get());
  }
}

Outcome run(const Options& options, Context& context) {
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::change);
  recovery::ArchiveChange change;
  change.settings = archive.settings;
  apply(archive, change, options.name, options.value, context);
  refuse_officers_with_seal_key(archive, *change.settings);
  warn_of_groups(*change.settings, context);
  if (context.options.plan) {
    return planned({{Change::Kind::change, fmt::format("{}: {} becomes {}", archive.store->name(),
                                                       options.name, options.value)}});
  }
  change_settings(context, options.archive, archive, std::move(change),
                  {{"setting", options.name}, {"value", json_text(options.value)}});
  Outcome outcome;
  outcome.data = {{"setting", options.name}, {"value", json_text(options.value)}};
  outcome.text = fmt::format("{}: {}\n", options.name, printable(options.value));
  return outcome;
}

}  // namespace

void add_archive_set(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_change_options(command, options->archive);
  command
      .add_option("NAME", options->name,
                  "kras-per-key, selection, allow-foreign, crl, role-separation or require-revoked")
      .required();
  command
      .add_option("VALUE", options->value,
                  "A number; roundrobin, spread or all; yes or no; a file of CRLs")
      .required();
  command.footer(
      "Examples:\n  hsmith archive set kras-per-key 2\n  hsmith archive set selection spread");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
