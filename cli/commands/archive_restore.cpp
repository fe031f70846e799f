// hsmith archive restore: a backup becomes the archive, after all of it was verified.
#include <filesystem>
#include <fmt/format.h>

#include "cli/archive_access.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string backup;
  bool accept_rollback = false;
};

Outcome run(const Options& options, Context& context) {
  const auto file = archive_file(context, options.archive);
  if (std::filesystem::exists(file)) {
    throw Error(Kind::exists,
                fmt::format("restore the archive {}: it is there", quoted(file.string())))
        .hint("move it away first, and the files beside it whose names end in -wal and -shm");
  }
  const auto certificate = pinned_seal_certificate(context);
  recovery::Archive backup = recovery::open_archive(
      recovery::open_sqlite_store(options.backup, recovery::StoreMode::read), certificate.get());
  recovery::ArchiveCounts counts;
  const auto problems = recovery::verify_archive(backup, counts);
  if (!problems.empty()) {
    throw Error(Kind::mismatch, fmt::format("restore {}: it does not verify: {}",
                                            quoted(options.backup), problems.front()));
  }
  if (!options.accept_rollback) {
    try {
      refuse_rollback(context, backup);
    } catch (const Error& error) {
      throw Error(error.kind(), error.what())
          .hint("keys that were archived after this backup are lost; --accept-rollback takes it");
    }
  }
  if (context.options.plan) return planned({{Change::Kind::create, "archive " + file.string()}});
  make_private_folder(file.parent_path());
  in_audit(context, "sqlite:" + file.string(),
           {{"backup", json_text(options.backup)}, {"seals", counts.seals}},
           [&] { backup.store->copy_to(file.string()); });
  remember_archive(context, backup);
  recovery::Archive again = open_archive(context, options.archive, recovery::StoreMode::read);
  Outcome outcome;
  outcome.data = {
      {"archive", json_text(again.store->name())}, {"seals", counts.seals}, {"keys", counts.keys}};
  outcome.text =
      fmt::format("{}: {} keys, verified\n", printable(again.store->name()), counts.keys);
  return outcome;
}

}  // namespace

void add_archive_restore(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_option(command, options->archive);
  command.add_option("FILE", options->backup, "A file of archive backup").required();
  command.add_flag("--accept-rollback", options->accept_rollback,
                   "Take a backup that lacks what was archived after it");
  command.footer(
      "Examples:\n  hsmith archive restore archive-2026-11-20.db\n"
      "  hsmith archive restore /backup/keys.db --archive sqlite:/srv/keys.db --accept-rollback");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
