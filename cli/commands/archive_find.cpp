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

std::string agent_line(const Json& agent) {
  const auto text = [&](const char* field) { return agent[field].get<std::string>(); };
  if (agent.contains("subject"))
    return fmt::format("  agent {} sha1 {}\n", text("subject"), text("sha1"));
  if (agent.contains("issuer"))
    return fmt::format("  agent of issuer {}, serial {}\n", text("issuer"), text("serial"));
  return fmt::format("  agent with the key identifier {}\n", text("key_id"));
}

Outcome run(const Options& options, Context& context) {
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  Outcome outcome;
  const std::vector<Found> found = search_archive(archive, options.search, outcome.failures);
  if (found.empty()) find_one_key(archive, options.search);  // says so
  warn_of_missing_agents(context, archive, found);
  outcome.data["candidates"] = Json::array();
  for (const Found& one : found) {
    Json json = found_json(archive, one);
    outcome.text += found_line(one) + "\n";
    for (const Json& agent : json["agents"]) outcome.text += agent_line(agent);
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
