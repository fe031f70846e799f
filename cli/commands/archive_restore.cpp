// hsmith archive restore: a backup becomes the archive, after all of it was verified.
#include <filesystem>
#include <fmt/format.h>

#include "cli/archive_access.h"
#include "cli/backup_input.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/sqlite.h"
#include "src/base/text.h"
#include "src/recovery/store_copy.h"
#include "src/recovery/store_sqlite.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string backup;
  bool accept_rollback = false;
};

void refuse_existing(const recovery::StorePlace& place) {
  const bool is_file = !place.file.empty();
  const auto beside = is_file ? left_over_beside(place.file) : std::nullopt;
  if (beside) {
    throw Error(
        Kind::exists,
        fmt::format("restore the archive {}: {} is there, of the archive that was there, and "
                    "would ruin the restored one",
                    quoted(place.name()), quoted(beside->string())))
        .hint("move it away first, and what else has a name that begins with the archive's");
  }
  if (is_file ? !std::filesystem::exists(place.file) : !recovery::holds_archive(place)) return;
  throw Error(Kind::exists,
              fmt::format("restore the archive {}: it is there", quoted(place.name())))
      .hint(is_file ? "move it away first, and the files beside it whose names end in -wal and -shm"
                    : "restore into another database, or rename the schema hsmith first");
}

// One transaction: an interrupted restore leaves no archive.
void restore(recovery::Store& backup, const recovery::StorePlace& place) {
  const auto copy = [&](recovery::StoreChange& change) { recovery::copy_archive(backup, change); };
  if (!place.file.empty()) {
    make_private_folder(place.file.parent_path());
    return recovery::create_sqlite_store(place.file, copy);
  }
  if (!recovery::store_exists(place)) recovery::create_store(place);
  const auto store = recovery::open_store(place, recovery::StoreMode::change);
  const auto change = store->change();
  copy(*change);
  change->commit();
}

Outcome run(const Options& options, Context& context) {
  const recovery::StorePlace place = archive_place(context, options.archive);
  refuse_existing(place);
  const auto certificate = pinned_seal_certificate(context);
  recovery::ArchiveCounts counts;
  recovery::Archive backup = read_database_file(options.backup, [&] {
    recovery::Archive opened = recovery::open_archive(
        recovery::open_sqlite_store(options.backup, recovery::StoreMode::read), certificate.get());
    const auto problems = recovery::verify_archive(opened, counts);
    if (problems.empty()) return opened;
    throw Error(Kind::mismatch, fmt::format("restore {}: it does not verify: {}",
                                            quoted(options.backup), problems.front()));
  });
  if (!options.accept_rollback) {
    try {
      refuse_rollback(context, backup);
    } catch (const Error& error) {
      throw Error(error.kind(), error.what())
          .hint("keys that were archived after this backup are lost; --accept-rollback takes it");
    }
  }
  if (context.options.plan) return planned({{Change::Kind::create, "archive " + place.name()}});
  in_audit(context, place.name(), {{"backup", json_text(options.backup)}, {"seals", counts.seals}},
           [&] { restore(*backup.store, place); });
  remember_restored(context, backup);
  recovery::Archive again = open_archive(context, options.archive, recovery::StoreMode::read);
  recovery::ArchiveCounts restored;
  const auto problems = recovery::verify_archive(again, restored);
  if (!problems.empty()) {
    throw Error(Kind::io, fmt::format("restore {}: it is there, and does not verify: {}",
                                      printable(again.store->name()), problems.front()));
  }
  Outcome outcome;
  outcome.data = {{"archive", json_text(again.store->name())},
                  {"seals", restored.seals},
                  {"keys", restored.keys}};
  outcome.text =
      fmt::format("{}: {} keys, verified\n", printable(again.store->name()), restored.keys);
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
