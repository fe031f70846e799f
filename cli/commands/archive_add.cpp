// hsmith archive add: keys from PKCS#12 files, proved, encrypted to the agents, stored.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "cli/archive_access.h"
#include "cli/commands.h"
#include "cli/other_keys.h"
#include "cli/passwords.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/pfx.h"
#include "src/x509/certificate.h"
#include "src/x509/chain.h"

namespace hsmith::cli {
namespace {

namespace fs = std::filesystem;
using recovery::Fate;

// So many keys are in memory, and in one transaction, at most.
constexpr std::size_t kBatch = 100;

struct Options {
  ArchiveOptions archive;
  std::vector<std::string> files;
  std::optional<std::string> password;
  std::optional<std::string> passwords;
  bool foreign = false;
  bool overwrite = false;
};

// The white paper's counters.
struct Counters {
  std::set<std::string> users;
  std::size_t with_keys = 0, archived = 0, overwritten = 0, already = 0, signature_only = 0,
              foreign = 0, foreign_archived = 0, refused = 0;
};

struct Run {
  Context& context;
  const Options& options;
  recovery::Archive& archive;
  recovery::Trust trust;
  std::vector<recovery::UsableAgent> agents;
  std::optional<SealKey> seal;
  std::vector<recovery::Candidate> batch;
  std::vector<std::string> batch_files;
  Counters counters;
  Json items;
  std::vector<Error> failures;
};

// Files, and what is in the folders among them, in a stable order. EPF files are refused by name:
// whoever has some there means them to be archived.
std::vector<std::string> expand(const std::vector<std::string>& arguments) {
  std::vector<std::string> files;
  for (const std::string& argument : arguments) {
    if (!fs::is_directory(argument)) {
      files.push_back(argument);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : fs::directory_iterator(argument)) {
      const std::string ending = lower(entry.path().extension().string());
      if (ending == ".p12" || ending == ".pfx" || ending == ".epf")
        inside.push_back(entry.path().string());
    }
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

// Lines "FILE,PASSWORD"; the file by its name or its path.
std::map<std::string, Secret> read_passwords(const std::string& file, Context& context) {
  refuse_writable_by_others(file, "the list of passwords");
  const Secret content = Secret::take(read_file(file));
  std::map<std::string, Secret> passwords;
  std::string_view rest = as_text(content.reveal());
  for (int line = 1; !rest.empty(); ++line) {
    std::string_view text = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.empty()) continue;
    const std::size_t comma = text.find(',');
    if (comma == std::string_view::npos)
      throw Error(Kind::malformed,
                  fmt::format("read {}: line {}: expected FILE,PASSWORD", quoted(file), line));
    passwords.emplace(std::string(text.substr(0, comma)), Secret(text.substr(comma + 1)));
  }
  context.tell(fmt::format("{}: {} passwords", quoted(file), passwords.size()));
  return passwords;
}

// One password of all files is read once.
class Passwords {
 public:
  Passwords(const Options& options, Context& context) : options_(options), context_(context) {
    if (options.passwords) list_ = read_passwords(*options.passwords, context);
  }
  Secret of(const std::string& file) {
    const auto by_path = list_.find(file);
    const auto found =
        by_path != list_.end() ? by_path : list_.find(fs::path(file).filename().string());
    if (found != list_.end()) return Secret(found->second.reveal());
    if (options_.passwords && !options_.password)
      throw Error(Kind::pin_missing, fmt::format("open {}: {} has no password for it", quoted(file),
                                                 quoted(*options_.passwords)));
    if (!common_) common_ = file_password(context_, options_.password, file);
    return Secret(common_->reveal());
  }

 private:
  const Options& options_;
  Context& context_;
  std::map<std::string, Secret> list_;
  std::optional<Secret> common_;
};

void note(Run& run, const std::string& file, X509* certificate, const char* result,
          const std::string& cause) {
  Json item{{"file", json_text(file)}, {"result", result}};
  if (certificate != nullptr) {
    const auto facts = x509::certificate_facts(certificate);
    item["subject"] = json_text(facts.subject);
    item["serial"] = facts.serial;
    item["sha256"] = facts.sha256;
  }
  if (!cause.empty()) item["cause"] = json_text(cause);
  run.items.push_back(std::move(item));
}

// In one transaction: all keys of the batch or none.
void archive_batch(Run& run) {
  Json facts{{"keys", Json::array()}};
  if (run.options.overwrite) facts["overwritten"] = Json::array();
  for (const auto& candidate : run.batch) {
    const char* list = candidate.again ? "overwritten" : "keys";
    facts[list].push_back(x509::certificate_sha256(candidate.certificate.get()));
  }
  std::set<std::size_t> already;
  in_audit(run.context, run.archive.store->name(), facts, [&] {
    already = recovery::archive_keys(run.archive, run.batch, run.agents, run.seal->key,
                                     std::time(nullptr));
  });
  remember_archive(run.context, run.archive);
  for (std::size_t i = 0; i < run.batch.size(); ++i) {
    const recovery::Candidate& candidate = run.batch[i];
    if (already.contains(i)) {
      ++run.counters.already;
      note(run, run.batch_files[i], candidate.certificate.get(), "already",
           "another run archived it meanwhile");
      continue;
    }
    ++(candidate.again ? run.counters.overwritten : run.counters.archived);
    run.counters.foreign_archived += candidate.foreign && !candidate.again;
    note(run, run.batch_files[i], candidate.certificate.get(),
         candidate.again ? "overwritten" : "archived", "");
  }
  run.batch.clear();
  run.batch_files.clear();
}

// Each key of the batch in a transaction of its own. Damage in the archive that stands in the way
// of one is that one's failure.
void archive_one_by_one(Run& run) {
  std::vector<recovery::Candidate> keys = std::exchange(run.batch, {});
  const std::vector<std::string> files = std::exchange(run.batch_files, {});
  for (std::size_t i = 0; i < keys.size(); ++i) {
    run.batch.push_back(std::move(keys[i]));
    run.batch_files.push_back(files[i]);
    try {
      archive_batch(run);
    } catch (const Error& error) {
      if (error.kind() != Kind::mismatch) throw;
      ++run.counters.refused;
      note(run, files[i], run.batch.front().certificate.get(), "refused", error.what());
      run.failures.push_back(error.during(quoted(files[i])));
      run.batch.clear();
      run.batch_files.clear();
    }
  }
}

void flush(Run& run) {
  if (run.batch.empty()) return;
  try {
    archive_batch(run);
  } catch (const Error& error) {
    if (error.kind() != Kind::mismatch) throw;
    archive_one_by_one(run);
  }
}

bool is_in_batch(const Run& run, X509* certificate) {
  return std::any_of(run.batch.begin(), run.batch.end(), [&](const auto& candidate) {
    return x509::same_certificate(candidate.certificate.get(), certificate);
  });
}

void refuse(Run& run, const std::string& file, X509* certificate, const std::string& cause) {
  ++run.counters.refused;
  note(run, file, certificate, "refused", cause);
  run.failures.emplace_back(Kind::refused, fmt::format("archive {}: {}", quoted(file), cause));
}

// What else certutil -importKMS takes has no published format.
Error as_no_pfx(const Error& error) {
  return Error(error.kind(), error.what())
      .hint(
          "keys come in PKCS#12 files (.p12, .pfx); EPF files of Outlook and exports of Exchange's "
          "Key Management Service (KMS) are not read");
}

// What is wrong with one file keeps no other from being archived. Nothing but the file may fail in
// `work`. False when it did.
bool or_refused(Run& run, const std::string& file, const std::function<void()>& work) {
  try {
    work();
    return true;
  } catch (const Error& error) {
    ++run.counters.refused;
    note(run, file, nullptr, "refused", error.what());
    run.failures.push_back(error.kind() == Kind::malformed ? as_no_pfx(error) : error);
    return false;
  }
}

recovery::Judgement judge(Run& run, recovery::Candidate& candidate) {
  if (is_in_batch(run, candidate.certificate.get()))
    return {Fate::already, "it is in another file too"};
  return recovery::judge(run.archive, run.trust, candidate, run.options.foreign,
                         std::time(nullptr));
}

void take(Run& run, const std::string& file, recovery::Candidate candidate) {
  X509* certificate = candidate.certificate.get();
  // Where the archive itself fails, it does so here, and that is no fault of the file.
  const auto there =
      recovery::archived_key(run.archive, recovery::sha256_of(x509::certificate_der(certificate)));
  candidate.again = run.options.overwrite && (there.row || there.damaged);
  recovery::Judgement judgement;
  const bool judged = or_refused(run, file, [&] {
    run.counters.users.insert(x509::certificate_facts(certificate).subject);
    judgement = judge(run, candidate);
  });
  ++run.counters.with_keys;
  if (!judged) return;
  switch (judgement.fate) {
    case Fate::fit:
      warn_of_other_key(run.context, run.archive, certificate);
      run.batch.push_back(std::move(candidate));
      run.batch_files.push_back(file);
      if (run.batch.size() == kBatch) flush(run);
      return;
    case Fate::already:
      ++run.counters.already;
      return note(run, file, certificate, "already", judgement.cause);
    case Fate::signature_only:
      ++run.counters.signature_only;
      return note(run, file, certificate, "signature_only", judgement.cause);
    case Fate::foreign:
      ++run.counters.foreign;
      note(run, file, certificate, "foreign", judgement.cause);
      run.failures.emplace_back(Kind::refused,
                                fmt::format("archive {}: {}", quoted(file), judgement.cause));
      return;
    default:
      return refuse(run, file, certificate, judgement.cause);
  }
}

std::vector<recovery::Candidate> candidates_in(Run& run, const std::string& file,
                                               Passwords& passwords) {
  const Secret content = Secret::take(read_file(file, recovery::kPfxLimit));
  const bool open = recovery::pfx_opens_without_password(content.reveal(), quoted(file));
  recovery::Pfx pfx =
      recovery::read_pfx(content.reveal(), quoted(file), open ? Secret() : passwords.of(file));
  std::vector<ossl::Certificate> all;
  for (const auto& entry : pfx.certificates) all.push_back(ossl::share(entry.certificate.get()));
  std::vector<recovery::Candidate> candidates;
  if (pfx.keys.empty()) refuse(run, file, nullptr, "it holds no private key");
  for (auto& entry : pfx.keys) {
    const auto its = recovery::certificates_of(pfx, entry.key.get());
    if (its.empty()) refuse(run, file, nullptr, "a key in it fits no certificate");
    for (const X509* leaf : its) {
      recovery::Candidate candidate;
      candidate.key = ossl::share(entry.key.get());
      candidate.certificate = ossl::share(const_cast<X509*>(leaf));
      candidate.chain = x509::order_chain(candidate.certificate.get(), all);
      candidate.chain.erase(candidate.chain.begin());
      candidates.push_back(std::move(candidate));
    }
  }
  return candidates;
}

Outcome outcome_of(Run& run) {
  const Counters& c = run.counters;
  Outcome outcome;
  outcome.data = {{"users", c.users.size()},
                  {"certificates_with_keys", c.with_keys},
                  {"archived", c.archived},
                  {"foreign_archived", c.foreign_archived},
                  {"overwritten", c.overwritten},
                  {"already_archived", c.already},
                  {"signature_certificates_ignored", c.signature_only},
                  {"foreign_not_archived", c.foreign},
                  {"refused", c.refused},
                  {"items", std::move(run.items)}};
  outcome.text = fmt::format(
      "Users: {}\nCertificates with keys: {}\nKeys archived: {}\nForeign keys archived: {}\n"
      "Already archived: {}\nIgnored signature certificates: {}\nForeign, not archived: {}\n"
      "Refused: {}\n",
      c.users.size(), c.with_keys, c.archived, c.foreign_archived, c.already, c.signature_only,
      c.foreign, c.refused);
  if (run.options.overwrite)
    outcome.text += fmt::format("Encrypted anew, to the agents of now: {}\n", c.overwritten);
  outcome.failures = std::move(run.failures);
  return outcome;
}

Outcome run(const Options& options, Context& context) {
  guard_keys(context);
  Passwords passwords(options, context);
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::change);
  Run run{context, options, archive, trust_of(context, archive), {}, {}, {}, {}, {}, {}, {}};
  run.items = Json::array();
  run.agents = recovery::usable_agents(archive, run.trust, std::time(nullptr));
  const std::vector<std::string> files = expand(options.files);
  if (context.options.plan) {
    return planned(
        {{Change::Kind::change,
          fmt::format("{}: the keys of {} files come in, each encrypted to {} of {} "
                      "agents{}",
                      archive.store->name(), files.size(), archive.settings.kras_per_key,
                      run.agents.size(),
                      options.overwrite ? "; those that are there are encrypted anew" : "")}});
  }
  if (!files.empty() && !options.passwords) passwords.of(files.front());
  run.seal = open_seal_key(context, options.archive, archive.seal_certificate.get());
  for (const std::string& file : files) {
    std::vector<recovery::Candidate> candidates;
    or_refused(run, file, [&] { candidates = candidates_in(run, file, passwords); });
    for (auto& candidate : candidates) take(run, file, std::move(candidate));
  }
  flush(run);
  return outcome_of(run);
}

}  // namespace

void add_archive_add(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_change_options(command, options->archive);
  command.add_option("FILE", options->files, "PKCS#12 files, or folders of .p12 and .pfx")
      .required();
  command.add_option("--password-source", options->password,
                     "Password of the files: file:PATH, env:NAME, fd:N, cmd:COMMAND, prompt");
  command.add_option("--passwords", options->passwords, "List of passwords: lines FILE,PASSWORD");
  command.add_flag("--foreign", options->foreign,
                   "Archive certificates of other authorities too; the archive must allow it");
  command.add_flag(
      "--overwrite", options->overwrite,
      "Encrypt keys that are there already anew: the agents of now open them, and those "
      "of before no longer");
  command.footer(
      "Examples:\n  hsmith archive add alice.p12 --password-source file:alice.password\n"
      "  hsmith archive add exported/ --passwords passwords.csv");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
