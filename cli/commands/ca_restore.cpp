// hsmith ca restore: an authority's file from a backup, checked row by row first.
#include <fmt/format.h>

#include "cli/authority.h"
#include "cli/backup_input.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ca/check.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

// A backup, every row of which was checked.
struct CheckedBackup {
  Database store;
  ca::StoreCounts counts;
  ca::Settings settings;
  std::vector<ca::Authority> authorities;
};

CheckedBackup read_checked(const std::string& file) {
  return read_database_file(file, [&] {
    Database store = ca::open_store_file(file, DatabaseMode::read);
    const ca::StoreCounts counts = ca::check_store(store);
    ca::Settings settings = ca::read_settings(store);
    auto authorities = ca::read_authorities(store);
    return CheckedBackup{std::move(store), counts, std::move(settings), std::move(authorities)};
  });
}

Outcome run(const std::string& backup, Context& context) {
  CheckedBackup checked = read_checked(backup);
  Database& copy = checked.store;
  const ca::StoreCounts& counts = checked.counts;
  const ca::Settings& settings = checked.settings;
  X509* own = ca::authority_in_service(checked.authorities).certificate.get();
  tokens::check_new_label(settings.name);
  const FileLock lock = lock_authority(context, settings.name);
  const auto file = ca::store_path(context.environment.state_folder, settings.name);
  if (std::filesystem::exists(file)) {
    throw Error(Kind::exists, fmt::format("restore the CA {}: there is one of this name, {}",
                                          quoted(settings.name), quoted(file.string())))
        .hint("back that up first, then move its file away");
  }
  if (context.options.plan)
    return planned({{Change::Kind::create, "CA database " + file.string()}});
  const Json facts{{"ca", settings.name}, {"file", json_text(backup)}};
  undertake(context, token_of(settings), facts, [&](Undertaking&) {
    make_private_folder(file.parent_path());
    copy.copy_to(file);
    return true;
  });
  context.warn("what was issued or revoked after the backup is not on record: hsmith log show");
  const x509::CertificateFacts facts_of_own = x509::certificate_facts(own);
  Outcome outcome;
  outcome.data = {{"ca", settings.name},
                  {"subject", json_text(facts_of_own.subject)},
                  {"public_key_sha256", facts_of_own.key_sha256},
                  {"token", json_text(settings.token_label)},
                  {"issued", counts.issued},
                  {"revoked", counts.revoked},
                  {"database", json_text(file.string())}};
  outcome.text = fmt::format(
      "CA {}: {} with {} certificates, {} of them revoked\nits key is that with the SHA-256 {}, "
      "last on the token {}\n",
      quoted(settings.name), facts_of_own.subject, counts.issued, counts.revoked,
      facts_of_own.key_sha256, quoted(settings.token_label));
  return outcome;
}

}  // namespace

void add_ca_restore(Arguments& command, Context& context) {
  auto backup = std::make_shared<std::string>();
  command.add_option("FILE", *backup, "What hsmith ca backup wrote").required();
  command.footer(
      "Examples:\n  hsmith ca restore lab-backup.db\n  hsmith ca restore lab-backup.db --plan");
  command.callback(
      [backup, &context] { context.run = [backup, &context] { return run(*backup, context); }; });
}

}  // namespace hsmith::cli
