// hsmith sign: the digest is made here, the token signs it, and each signature is verified.
#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "cli/bulk_signing.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/file_signer.h"
#include "cli/signing_processes.h"
#include "cli/signing_sessions.h"
#include "src/base/error.h"
#include "src/base/file_identity.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "tokens/quirks.h"
#include "tokens/start.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string key;
  FileSigning how;
  std::vector<std::string> files;
  std::string list;  // of more files
  std::string output;
  std::string out_dir;
  unsigned jobs = 1;
};

std::string output_of(const Options& options, const std::string& file) {
  if (!options.output.empty()) return options.output;
  if (!options.out_dir.empty()) {
    return (std::filesystem::path(options.out_dir) / std::filesystem::path(file).filename())
               .string() +
           suffix_of(options.how.message);
  }
  return file == "-" ? "-" : file + suffix_of(options.how.message);
}

void check_options(const Options& options) {
  check_message_options(options.how.message);
  if (!options.how.message.is_raw() &&
      (options.how.signature.raw() || options.how.signature.prehashed)) {
    throw Error(Kind::usage, "--sig-format and --prehashed: for raw signatures only");
  }
  if (options.files.empty() && options.list.empty()) {
    throw Error(Kind::usage, "sign: no file is named")
        .hint("name files, or a list of them with --files-from");
  }
}

// A pipe, a device: what is read of it is gone.
bool is_stream(const std::string& file) {
  std::error_code ignored;
  return file == "-" || std::filesystem::is_other(std::filesystem::status(file, ignored));
}

// What gives its content once is asked for it once.
void check_input(const std::string& file, const Options& options, bool& standard_input_taken) {
  if (!is_stream(file)) return;
  if (options.how.resume) {
    throw Error(Kind::usage, fmt::format("sign {}: --resume reads a file twice, and this can be "
                                         "read only once",
                                         quoted(file)))
        .hint("put its content into a file, or leave --resume out");
  }
  if (!is_standard_input(file)) return;
  if (is_standard_input(options.list)) {
    throw Error(Kind::usage,
                fmt::format("sign {}: standard input is the list of files", quoted(file)));
  }
  if (std::exchange(standard_input_taken, true))
    throw Error(Kind::usage,
                fmt::format("sign {}: standard input is named twice, and can be read only once",
                            quoted(file)));
}

// The files that may be replaced by a signature, were it to go there.
std::set<FileIdentity> replaceable(const std::vector<std::string>& files, const Context& context) {
  std::set<FileIdentity> identities;
  if (context.replace() == Replace::no) return identities;
  for (const std::string& file : files) {
    if (const auto identity = identity_of(file)) identities.insert(*identity);
  }
  return identities;
}

// That a run which resumes finds something there is no error yet.
void check_place(const std::string& output, const Options& options, const Context& context) {
  std::error_code ignored;
  const bool is_there = std::filesystem::exists(std::filesystem::symlink_status(output, ignored));
  if (!options.how.resume || !is_there) check_output(output, context.replace());
}

// Every file with where its signature goes, all different and, unless the run resumes, not there.
std::vector<SigningTask> tasks_of(const Options& options, const Context& context) {
  std::vector<std::string> files = options.files;
  if (!options.list.empty()) {
    for (std::string& file : files_from(options.list)) files.push_back(std::move(file));
  }
  if (!options.output.empty() && files.size() > 1) {
    throw Error(Kind::usage, fmt::format("-o {}: one file for {} signatures",
                                         quoted(options.output), files.size()))
        .hint("name a folder with --out-dir");
  }
  std::vector<SigningTask> tasks;
  std::set<std::filesystem::path> outputs;
  const std::set<FileIdentity> inputs = replaceable(files, context);
  bool standard_input_taken = false;
  for (const std::string& file : files) {
    check_input(file, options, standard_input_taken);
    const std::string output = output_of(options, file);
    const std::optional<FileIdentity> there = identity_of(output);
    if (there && there == identity_of(file))
      throw Error(Kind::usage, fmt::format("sign {}: input and output are the same", quoted(file)));
    if (there && inputs.contains(*there)) {
      throw Error(Kind::usage, fmt::format("sign {}: its signature would replace {}, another of "
                                           "the files",
                                           quoted(file), quoted(output)));
    }
    if (!outputs.insert(std::filesystem::path(output).lexically_normal()).second) {
      throw Error(Kind::usage, fmt::format("sign {}: another signature would go to {} as well",
                                           quoted(file), quoted(output)));
    }
    if (context.options.json && output == "-") {
      throw Error(Kind::usage, "print a signature as JSON: that does not go together")
          .hint("name a file with -o");
    }
    check_place(output, options, context);
    tasks.push_back({file, output});
  }
  return tasks;
}

// One entry a file; of many files, one before the first and one with the hash of all results.
Json entry_of(const Outcome& outcome, const char* event) {
  return {{"event", event},
          {"key", outcome.data["key"]},
          {"scheme", outcome.data["scheme"]},
          {"format", outcome.data["format"]}};
}

using Fate = SigningResult::Fate;

bool is_failure(const SigningResult& result) {
  return result.fate == Fate::failed || result.fate == Fate::not_tried;
}

void record_results(std::span<const SigningTask> tasks, std::span<const SigningResult> results,
                    Outcome& outcome, const Context& context) {
  std::string lines;
  std::size_t made = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (results[i].fate != Fate::signed_now) continue;
    ++made;
    lines += fmt::format("{} {}\n", results[i].digest, tasks[i].file);
  }
  Json entry = entry_of(outcome, "signed");
  entry["signed"] = made;
  entry["failed"] = std::count_if(results.begin(), results.end(), is_failure);
  entry["results"] = sha256_hex(as_bytes(lines));
  try {
    record(context, entry, audit::Flush::no);
  } catch (const Error& error) {  // what was signed is signed
    outcome.failures.push_back(error.during(
        fmt::format("{} signatures are made, only the closing entry of the log is missing", made)));
  }
}

// The failures; what many files failed of is told once, with the first of them.
void report_failures(std::span<const SigningTask> tasks, std::span<const SigningResult> results,
                     Outcome& outcome) {
  struct Failure {
    Error error;
    std::string file;
    std::size_t more = 0;
  };
  std::vector<Failure> failures;
  std::map<std::string, std::size_t> told;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (!is_failure(results[i])) continue;
    const Error error = results[i].error.value_or(
        Error(Kind::token_removed, "it was not tried, the token is gone"));
    const auto [place, is_new] = told.try_emplace(error.what(), failures.size());
    if (is_new) {
      failures.push_back({error, tasks[i].file});
    } else {
      ++failures[place->second].more;
    }
  }
  for (const Failure& one : failures) {
    const Kind kind = one.error.kind();
    // These name their file themselves.
    const bool of_a_file = kind == Kind::io || kind == Kind::malformed || kind == Kind::exists;
    const std::string more = one.more > 0 ? fmt::format(" and {} more", one.more) : "";
    outcome.failures.push_back(
        of_a_file && one.more == 0
            ? one.error
            : one.error.during(fmt::format("sign {}{}", quoted(one.file), more)));
  }
}

void report(const SigningTask& task, SigningResult& result, Outcome& outcome) {
  if (is_failure(result)) return;
  if (task.output == "-") {
    outcome.raw = std::move(result.for_standard_output);
    return;
  }
  Json json{{"file", json_text(task.file)}, {"signature", json_text(task.output)}};
  if (result.fate == Fate::signed_before) json["signed_before"] = true;
  outcome.data["signatures"].push_back(std::move(json));
  outcome.text += fmt::format("{}{}\n", printable(task.output),
                              result.fate == Fate::signed_before ? " (signed before)" : "");
}

Outcome plan(std::span<const SigningTask> tasks, const Options& options, const FileSigner& signer,
             const Context& context) {
  std::vector<Change> changes;
  for (const SigningTask& task : tasks) {
    if (options.how.resume) {
      if (is_signed(task, options.how, signer)) continue;
      check_output(task.output, context.replace());
    }
    input_to_sign(task.file, signer.key->public_key(), signer.scheme, options.how.signature);
    changes.push_back({Change::Kind::create, "file " + task.output});
  }
  return planned(changes);
}

// From how many files on it pays to start processes, each of which starts the module and logs in.
constexpr std::size_t kFilesForProcesses = 200;

bool wants_processes(std::span<const SigningTask> tasks, const Options& options,
                     const std::string& module_path, const Context& context) {
  return options.jobs > 1 && tasks.size() >= kFilesForProcesses && !context.options.trace &&
         !context.options.plan && tokens::module_quirks(module_path).threads_wait;
}

// A worker in a process of its own: the same key, found on its own way to the token.
SignFile worker_of(const std::shared_ptr<tokens::OpenToken>& token, const std::string& public_key,
                   const Options& options, const tokens::Selector& selector, Context& context) {
  context.options.quiet = true;  // the first worker has warned
  const tokens::Key key = tokens::find_one(*token, selector);
  const auto signer = std::make_shared<FileSigner>(file_signer(*token, key, options.how, context));
  if (hex(ossl::spki_of(signer->key->public_key())) != public_key)
    throw Error(Kind::mismatch, fmt::format("sign with {}: it is another key now", key.uri));
  return [token, signer, &options, &context](const SigningTask& task) {
    return sign_file(task, options.how, *signer, context, {});
  };
}

std::unique_ptr<SigningProcesses> start_processes(std::span<const SigningTask> tasks,
                                                  const std::function<tokens::OpenToken()>& open,
                                                  const Options& options,
                                                  const tokens::Selector& selector,
                                                  Context& context) {
  const auto token = std::make_shared<std::shared_ptr<tokens::OpenToken>>();
  const auto make_worker = [&, token, open](const std::string& public_key) {
    if (!*token) {
      *token = std::make_shared<tokens::OpenToken>(open());
    } else {  // the session failed this worker
      (*token)->session =
          pkcs11::Session::open((*token)->module, (*token)->slot, pkcs11::Access::read_only);
    }
    return worker_of(*token, public_key, options, selector, context);
  };
  return std::make_unique<SigningProcesses>(options.jobs - 1, tasks, make_worker);
}

// The workers of this process, and the processes beside it.
std::vector<SigningResult> sign_with_workers(std::span<const SigningTask> tasks,
                                             const Options& options, const tokens::OpenToken& token,
                                             const tokens::Key& key, const FileSigner& first,
                                             SigningProcesses* processes, const Context& context,
                                             const Announce& announce) {
  SigningSessions sessions(token, key, first);
  const MakeWorker make_worker = [&]() -> SignFile {
    return [&, signer = sessions.take()](const SigningTask& task) {
      return sign_file(task, options.how, *signer, context, announce);
    };
  };
  // A key that wants its PIN for each signature, and a trace, are for one thread.
  if (key.always_authenticate || context.options.trace)
    return sign_files(tasks, 1, make_worker, nullptr, context);
  if (processes != nullptr) processes->go(hex(ossl::spki_of(first.key->public_key())));
  return sign_files(tasks, options.jobs * sessions.workers_each(), make_worker, processes, context);
}

void sign_all(std::span<const SigningTask> tasks, const Options& options,
              const tokens::OpenToken& token, const tokens::Key& key, const FileSigner& first,
              SigningProcesses* processes, const Context& context, Outcome& outcome) {
  const bool many = tasks.size() > 1;
  Announce announce;
  if (many) {
    Json entry = entry_of(outcome, "sign");
    entry["files"] = tasks.size();
    record(context, entry, audit::Flush::no);
  } else {
    announce = [&](ByteView digest) {
      Json entry = entry_of(outcome, "sign");
      entry["file"] = json_text(tasks.front().file);
      entry["digest"] = hex(digest);
      record(context, entry, audit::Flush::no);
    };
  }
  std::vector<SigningResult> results =
      sign_with_workers(tasks, options, token, key, first, processes, context, announce);
  if (!many && results.front().error) throw Error(*results.front().error);
  for (std::size_t i = 0; i < tasks.size(); ++i) report(tasks[i], results[i], outcome);
  report_failures(tasks, results, outcome);
  if (many) record_results(tasks, results, outcome, context);
}

Outcome run(const Options& options, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.key);
  check_options(options);
  const std::vector<SigningTask> tasks = tasks_of(options, context);
  const tokens::Reach way = reach(context, &selector);
  std::unique_ptr<SigningProcesses> processes;  // goes after the token: they may wait for its lock
  std::function<void(const std::function<tokens::OpenToken()>&)> start;
  if (wants_processes(tasks, options, way.module_path, context)) {
    start = [&](const std::function<tokens::OpenToken()>& open) {
      processes = start_processes(tasks, open, options, selector, context);
    };
  }
  const tokens::OpenToken token =
      tokens::open_token(way, pkcs11::Access::read_only, tokens::Login::user,
                         pin_options(context, tokens::PinRole::user, &selector), start);
  const tokens::Key key = tokens::find_one(token, selector);
  tokens::check_may_sign(key);
  const FileSigner signer = file_signer(token, key, options.how, context);
  if (context.options.plan) return plan(tasks, options, signer, context);
  EVP_PKEY* public_key = signer.key->public_key();
  Outcome outcome;
  outcome.data = {{"key", key.uri},
                  {"scheme", ossl::describe(public_key, signer.scheme)},
                  {"format", options.how.message.format},
                  {"signatures", Json::array()}};
  sign_all(tasks, options, token, key, signer, processes.get(), context, outcome);
  return outcome;
}

}  // namespace

void add_sign(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--key", options->key, "Label, id:HEX or PKCS#11 URI of the key").required();
  command.add_option("FILE", options->files, "Files to sign; - is standard input");
  command.add_option("--files-from", options->list, "A file that names more files, one a line");
  add_message_options(command, options->how.message);
  add_signature_options(command, options->how.signature);
  const Argument output = command.add_option(
      "-o,--output", options->output, "Where it goes (default FILE.sig, .p7s, .p7m, .eml, .jws)");
  command.add_option("--out-dir", options->out_dir, "Folder for the signatures").excludes(output);
  command.add_option("--jobs", options->jobs, "Sessions that sign at the same time (default 1)")
      .within(1, 64);
  command.add_flag(
      "--resume", options->how.resume,
      "Go on with a run that was interrupted: what is signed already is left as it is");
  command.footer(
      "Examples:\n  hsmith sign --key mail --format cms --chain release.tar.gz\n"
      "  hsmith sign --key web --files-from list --out-dir signatures --jobs 2 --resume");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
