// hsmith archive backup: a consistent copy of an archive, verified as a whole. From every store it
// is a file of SQLite, and restore puts it into either.
#include <filesystem>
#include <fmt/format.h>

#include "cli/archive_access.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/store_copy.h"
#include "src/recovery/store_sqlite.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string output;
};

// A copy that does not verify is no backup: it goes again.
recovery::ArchiveCounts verify_copy(const std::string& file, X509* seal_certificate) {
  try {
    recovery::Archive copy = recovery::open_archive(
        recovery::open_sqlite_store(file, recovery::StoreMode::read), seal_certificate);
    recovery::ArchiveCounts counts;
    const auto problems = recovery::verify_archive(copy, counts);
    if (problems.empty()) return counts;
    throw Error(Kind::mismatch,
                fmt::format("back up the archive: the copy does not verify: {}", problems.front()))
        .hint("look at the archive with: hsmith archive verify");
  } catch (const Error&) {
    std::filesystem::remove(file);
    throw;
  }
}

// With --force too: what is there may be the only other backup.
void check_new(const std::string& file) {
  try {
    check_output(file, Replace::no);
  } catch (const Error& error) {
    if (error.kind() != Kind::exists) throw;
    throw Error(error.kind(), error.what()).hint("a backup replaces no file: name another one");
  }
}

Outcome run(const Options& options, Context& context) {
  if (options.output == "-") throw Error(Kind::usage, "archive backup -o -: name a file");
  check_new(options.output);
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  if (context.options.plan) return planned({{Change::Kind::create, options.output}});
  recovery::create_sqlite_store(options.output, [&](recovery::StoreChange& copy) {
    recovery::copy_archive(*archive.store, copy);
  });
  const auto counts = verify_copy(options.output, archive.seal_certificate.get());
  Outcome outcome;
  outcome.data = {
      {"file", json_text(options.output)}, {"seals", counts.seals}, {"keys", counts.keys}};
  outcome.text = fmt::format("{}: {} keys, verified\n", printable(options.output), counts.keys);
  return outcome;
}

}  // namespace

void add_archive_backup(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_option(command, options->archive);
  command.add_option("-o,--output", options->output, "File to write; must not exist").required();
  command.footer(
      "Examples:\n  hsmith archive backup -o archive-2026-11-20.db\n"
      "  hsmith archive backup --archive sqlite:/srv/keys.db -o /backup/keys.db");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
