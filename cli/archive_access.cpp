#include "cli/archive_access.h"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>

#include "cli/archive_links.h"
#include "cli/arguments.h"
#include "cli/changes.h"
#include "src/base/error.h"
#include "src/base/lock.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/crl.h"
#include "tokens/certificates.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

constexpr std::chrono::seconds kLockWait(10);

std::string url_of(const Context& context, const ArchiveOptions& options) {
  if (options.url) return *options.url;
  if (const auto set = variable("HSMITH_ARCHIVE")) return *set;
  if (context.config.archive_url) return *context.config.archive_url;
  return "sqlite:" + (context.environment.state_folder / "archive.db").string();
}

std::filesystem::path seen_file(const Context& context, const recovery::Archive& archive) {
  return context.environment.state_folder / "archives" / file_name_for(archive.settings.id);
}

// The seal that is noted; number 0 where none is.
struct Seen {
  std::int64_t number = 0;
  std::string hash;
};

Seen read_seen(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return {};
  const Bytes content = read_file(file.string(), 4096);
  const auto words = split(trim(as_text(content)), ' ');
  return words.size() == 2 ? Seen{std::atoll(words[0].c_str()), words[1]} : Seen{};
}

void write_seen(const std::filesystem::path& file, const recovery::Archive& archive) {
  const std::string text = fmt::format("{} {}\n", archive.last_seal, archive.last_hash);
  write_file(file.string(), as_bytes(text), kPrivateFile, Replace::yes);
}

std::string not_kept(const Context& context, const recovery::Archive& archive) {
  return "the newest seal is not kept in " + quoted(seen_file(context, archive).string());
}

// Several runs at once: the newest seal stays.
void note_newest(const Context& context, const recovery::Archive& archive) {
  const auto file = seen_file(context, archive);
  const Seen before = read_seen(file);
  if (before.number >= archive.last_seal) return;
  make_private_folder(file.parent_path());
  const auto lock = FileLock::acquire(file.string() + ".lock", kLockWait);
  if (read_seen(file).number < archive.last_seal) write_seen(file, archive);
}

}  // namespace

void add_archive_option(Arguments& command, ArchiveOptions& options) {
  command.add_option("--archive", options.url,
                     "sqlite:PATH or postgresql://… (default: HSMITH_ARCHIVE, [archive] url, "
                     "archive.db in the state folder)");
}

void add_archive_change_options(Arguments& command, ArchiveOptions& options) {
  add_archive_option(command, options);
  command.add_option("--seal-key", options.seal_key,
                     "The key that seals changes, as a URI, where its token is not the chosen one");
}

recovery::StorePlace archive_place(const Context& context, const ArchiveOptions& options) {
  return recovery::parse_store_place(url_of(context, options));
}

void require_named_archive(const Context& context, const ArchiveOptions& options) {
  if (options.url) return;
  throw Error(Kind::usage, fmt::format("{}: what destroys wants the archive named on the command "
                                       "line",
                                       context.command))
      .hint("add --archive URL");
}

std::filesystem::path seal_certificate_file(const Context& context) {
  if (context.config.archive_seal_cert) return *context.config.archive_seal_cert;
  return context.environment.state_folder / "archive-seal.pem";
}

// A copy that is older than what was seen lacks keys that were acknowledged.
void refuse_rollback(const Context& context, recovery::Archive& archive) {
  const auto file = seen_file(context, archive);
  if (!std::filesystem::exists(file)) return;
  const auto [number, hash] = read_seen(file);
  const auto row = number > 0 ? archive.store->seal(number) : std::nullopt;
  if (row && hex(recovery::sha256_of(row->content)) == hash) return;
  throw Error(Kind::refused,
              fmt::format("open the archive {}: it {}, which was there before: an older copy is in "
                          "its place",
                          quoted(archive.store->name()),
                          row ? fmt::format("has another seal than the number {}", number)
                              : fmt::format("lacks seal {}", number)))
      .hint(fmt::format("ask who keeps the archive. Where it was restored on purpose, or this is a "
                        "backup, move {} away; else the newest backup is to be restored",
                        quoted(file.string())));
}

ossl::Certificate pinned_seal_certificate(const Context& context) {
  const auto pinned = seal_certificate_file(context);
  if (!std::filesystem::exists(pinned)) {
    throw Error(
        Kind::configuration,
        fmt::format("open an archive: its seal key's certificate is not pinned: {} is missing",
                    quoted(pinned.string())))
        .hint("name it with [archive] seal_cert in the configuration");
  }
  refuse_writable_by_others(pinned.string(), "the seal certificate");
  return x509::read_certificate(read_file(pinned.string()), quoted(pinned.string()));
}

recovery::Archive open_archive(Context& context, const ArchiveOptions& options,
                               recovery::StoreMode mode) {
  auto store = recovery::open_store(archive_place(context, options), mode);
  const auto certificate = pinned_seal_certificate(context);
  recovery::Archive archive = recovery::open_archive(std::move(store), certificate.get());
  refuse_rollback(context, archive);
  return archive;
}

void remember_archive(const Context& context, const recovery::Archive& archive) {
  or_done_anyway(not_kept(context, archive), [&] { note_newest(context, archive); });
}

void remember_what_was_read(Context& context, const recovery::Archive& archive) {
  try {
    note_newest(context, archive);
  } catch (const Error& error) {
    context.warn(fmt::format("{}: {}", not_kept(context, archive), error.what()));
  }
}

void remember_restored(const Context& context, const recovery::Archive& archive) {
  or_done_anyway(not_kept(context, archive), [&] {
    const auto file = seen_file(context, archive);
    make_private_folder(file.parent_path());
    const auto lock = FileLock::acquire(file.string() + ".lock", kLockWait);
    write_seen(file, archive);
  });
}

SealKey open_seal_key(Context& context, const ArchiveOptions& options, X509* seal_certificate) {
  std::optional<tokens::Selector> selector;
  if (options.seal_key) selector = tokens::parse_selector(*options.seal_key);
  SealKey seal;
  seal.token = open_for_user(context, pkcs11::Access::read_only, selector ? &*selector : nullptr);
  const tokens::Inventory inventory = tokens::take_inventory(seal.token);
  const tokens::Key key = tokens::key_of_certificate(seal.token, inventory, seal_certificate,
                                                     "the archive's seal certificate");
  seal.key = tokens::remote_key(seal.token, key);
  return seal;
}

recovery::Trust trust_of(Context& context, recovery::Archive& archive) {
  recovery::Trust trust = recovery::trust_of(archive);
  for (const std::string& problem : trust.problems) context.warn(problem + ": it is left out");
  for (const std::string& file : context.config.trust_crls) {
    for (auto& crl : x509::read_crls(read_file(file), quoted(file)))
      trust.crls.push_back(std::move(crl));
  }
  trust.untrusted = archive_links(trust, context);
  return trust;
}

// What Windows has an event for has its number in the log (docs/recovery.md): the events of Windows
// 2008 and later; those of 2003 are 4096 less.
std::optional<int> windows_event(std::string_view command) {
  static constexpr std::pair<std::string_view, int> kEvents[] = {
      {"archive get", 4883},             // retrieved an archived key
      {"archive officer add", 4890},     // the certificate manager settings changed
      {"archive officer remove", 4890},  //
      {"archive init", 4891},            // a configuration entry changed
      {"archive set", 4891},             //
      {"kra add", 4892},                 // a property changed
      {"kra remove", 4892},              //
      {"archive submit", 4893},          // archived a key
      {"archive add", 4894},             // imported and archived a key
  };
  for (const auto& [name, event] : kEvents) {
    if (name == command) return event;
  }
  return std::nullopt;
}

void in_audit(Context& context, const std::string& archive, const Json& facts,
              const std::function<void()>& work) {
  const auto event = windows_event(context.command);
  const auto entry = [&](Json fields) {
    fields["archive"] = json_text(archive);
    fields["facts"] = facts;
    if (event) fields["windows_event"] = *event;
    record(context, std::move(fields), audit::Flush::yes);
  };
  entry({{"event", "begin"}});
  context.announced = true;
  try {
    work();
  } catch (const Error& error) {
    try {
      entry({{"event", "failed"}, {"error", info(error.kind()).name}});
    } catch (const Error&) {  // the change's own error is the one to report
    }
    throw;
  }
  or_done_anyway(context.command + " is not on record as done", [&] {
    entry({{"event", "done"}});
  });
}

void record_refusal(Context& context, const Error& error) {
  static constexpr std::string_view kCommands[] = {"archive get",
                                                   "archive add",
                                                   "archive submit",
                                                   "archive rekey export",
                                                   "archive rekey apply",
                                                   "archive officer add",
                                                   "archive set",
                                                   "archive officer remove",
                                                   "kra add",
                                                   "kra remove",
                                                   "recover"};
  const bool counts = std::find(std::begin(kCommands), std::end(kCommands), context.command) !=
                          std::end(kCommands) &&
                      error.kind() != Kind::usage && !context.options.plan;
  if (!counts) return;
  Json entry{{"event", "refused"},
             {"error", info(error.kind()).name},
             {"message", json_text(error.what())}};
  if (const auto event = windows_event(context.command)) entry["windows_event"] = *event;
  try {
    record(context, std::move(entry), audit::Flush::no);
  } catch (const Error& lack) {  // refused it is all the same
    context.warn(fmt::format("the refusal is not on record: {}", lack.what()));
  }
}

void change_settings(Context& context, const ArchiveOptions& options, recovery::Archive& archive,
                     recovery::ArchiveChange change, const Json& facts) {
  const SealKey seal = open_seal_key(context, options, archive.seal_certificate.get());
  in_audit(context, archive.store->name(), facts, [&] {
    const auto transaction = archive.store->change();
    recovery::commit_change(archive, *transaction, std::move(change), seal.key, std::time(nullptr));
  });
  remember_archive(context, archive);
}

Json agent_json(X509* certificate, const std::vector<std::string>& abilities,
                const recovery::AgentState& state) {
  const Bytes sha256 = recovery::sha256_of(x509::certificate_der(certificate));
  return agent_json({sha256, ossl::share(certificate), ""}, abilities, state);
}

Json agent_json(const recovery::AgentCertificate& agent, const std::vector<std::string>& abilities,
                const recovery::AgentState& state) {
  Json json{{"id", hex(agent.sha256).substr(0, 16)}};
  if (agent.certificate) {
    const auto facts = x509::certificate_facts(agent.certificate.get());
    json["subject"] = json_text(facts.subject);
    json["serial"] = facts.serial;
    json["not_after"] = rfc3339(facts.not_after);
  }
  json["sha256"] = hex(agent.sha256);
  json["state"] = state.state;
  json["abilities"] = abilities;
  if (!state.cause.empty()) json["cause"] = json_text(state.cause);
  return json;
}

}  // namespace hsmith::cli
