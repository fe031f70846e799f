// hsmith archive verify: every seal and every row, nothing edited, swapped or missing.
#include <fmt/format.h>

#include "cli/archive_access.h"
#include "cli/commands.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

Outcome run(const ArchiveOptions& options, Context& context) {
  recovery::Archive archive = open_archive(context, options, recovery::StoreMode::read);
  recovery::ArchiveCounts counts;
  const auto problems = recovery::verify_archive(archive, counts);
  if (problems.empty()) remember_what_was_read(context, archive);
  Outcome outcome;
  outcome.exit = problems.empty() ? 0 : 3;
  outcome.data = {{"archive", json_text(archive.store->name())},
                  {"good", problems.empty()},
                  {"seals", counts.seals},
                  {"keys", counts.keys},
                  {"certificates", counts.objects},
                  {"problems", Json::array()}};
  outcome.text = fmt::format(
      "{}: {}: {} seals, {} keys, {} certificates and CRLs\n", printable(archive.store->name()),
      problems.empty() ? "good" : "NOT GOOD", counts.seals, counts.keys, counts.objects);
  for (const std::string& problem : problems) {
    outcome.data["problems"].push_back(json_text(problem));
    outcome.text += fmt::format("  {}\n", printable(problem));
  }
  return outcome;
}

}  // namespace

void add_archive_verify(Arguments& command, Context& context) {
  auto options = std::make_shared<ArchiveOptions>();
  add_archive_option(command, *options);
  command.footer(
      "Examples:\n  hsmith archive verify\n  hsmith archive verify --archive sqlite:/srv/keys.db "
      "--json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
