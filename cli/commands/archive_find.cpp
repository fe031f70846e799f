// hsmith archive find: whose keys are there, and which agents can open each.
#include <fmt/format.h>

#include "cli/archive_search.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  SearchOptions search;
};

Outcome run(const Options& options, Context& context) {
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  const std::vector<Found> found = search_archive(archive, options.search);
  if (found.empty()) find_one_key(archive, options.search);  // says so
  Outcome outcome;
  outcome.data["candidates"] = Json::array();
  for (const Found& one : found) {
    Json json = found_json(archive, one);
    outcome.text += found_line(one) + "\n";
    for (const Json& agent : json["agents"]) {
      outcome.text += fmt::format("  agent {} sha1 {}\n", agent["subject"].get<std::string>(),
                                  agent["sha1"].get<std::string>());
    }
    outcome.data["candidates"].push_back(std::move(json));
  }
  return outcome;
}

}  // namespace

void add_archive_find(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_option(command, options->archive);
  add_search_options(command, options->search);
  command.footer(
      "Examples:\n  hsmith archive find alice@example.com\n"
      "  hsmith archive find '1b 4a b7 00 00 00' --by serial --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
