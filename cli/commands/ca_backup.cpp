// hsmith ca backup: the authority's file as it is at one moment, checked; never the key.
#include <fmt/format.h>
#include <unistd.h>

#include "cli/authority.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/prepared_file.h"
#include "src/base/text.h"
#include "src/ca/check.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string ca;
  std::string output;
};

// Checked under a name of its own: under the real one stands what was found good.
ca::StoreCounts copy_checked(Database& store, const std::string& output, Replace replace) {
  const std::string copy = output + ".unchecked";
  unlink(copy.c_str());
  store.copy_to(copy);
  try {
    Database written = ca::open_store_file(copy, DatabaseMode::read);
    const ca::StoreCounts counts = ca::check_store(written);
    if (!(counts == ca::check_store(store)))
      throw Error(Kind::mismatch, fmt::format("check the backup {}: it has other rows than the CA",
                                              quoted(output)));
    move_file(copy, output, replace);
    return counts;
  } catch (...) {
    unlink(copy.c_str());
    throw;
  }
}

Outcome run(const Options& options, Context& context) {
  if (options.output == "-")
    throw Error(Kind::usage, "ca backup: a database cannot be written to standard output")
        .hint("name a file with -o");
  check_output(options.output, context.replace());
  OpenAuthority authority = open_authority(context, options.ca, DatabaseMode::change);
  if (context.options.plan) return planned({{Change::Kind::create, "file " + options.output}});
  record(context, {{"event", "begin"}, {"ca", options.ca}, {"file", json_text(options.output)}},
         audit::Flush::yes);
  const ca::StoreCounts counts = copy_checked(authority.store, options.output, context.replace());
  record(context, {{"event", "done"}, {"ca", options.ca}, {"issued", counts.issued}},
         audit::Flush::yes);
  Outcome outcome;
  outcome.data = {{"ca", options.ca},
                  {"file", json_text(options.output)},
                  {"issued", counts.issued},
                  {"revoked", counts.revoked}};
  outcome.text = fmt::format(
      "{}: {} with {} certificates, {} of them revoked; its key stays on the token {}\n",
      printable(options.output), printable(options.ca), counts.issued, counts.revoked,
      quoted(authority.settings.token_label));
  return outcome;
}

}  // namespace

void add_ca_backup(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("CA", options->ca, "Name of the CA").required();
  command.add_option("-o,--output", options->output, "File to write: a SQLite database").required();
  command.footer(
      "Examples:\n  hsmith ca backup lab -o lab-backup.db\n"
      "  hsmith ca backup lab -o /backup/lab.db --force --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
