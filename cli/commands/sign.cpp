// hsmith sign: the digest is made here, the token signs it, and each signature is verified.
#include <atomic>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <set>

#include "cli/bulk_signing.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/message_signing.h"
#include "cli/signature_options.h"
#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string key;
  MessageOptions message;
  SignatureOptions signature;
  std::vector<std::string> files;
  std::string list;  // of more files
  std::string output;
  std::string out_dir;
  unsigned jobs = 1;
  bool resume = false;
};

std::string output_of(const Options& options, const std::string& file) {
  if (!options.output.empty()) return options.output;
  if (!options.out_dir.empty()) {
    return (std::filesystem::path(options.out_dir) / std::filesystem::path(file).filename())
               .string() +
           suffix_of(options.message);
  }
  return file == "-" ? "-" : file + suffix_of(options.message);
}

void check_options(const Options& options) {
  check_message_options(options.message);
  if (!options.message.is_raw() && (options.signature.raw() || options.signature.prehashed)) {
    throw Error(Kind::usage, "--sig-format and --prehashed: for raw signatures only");
  }
  if (options.files.empty() && options.list.empty()) {
    throw Error(Kind::usage, "sign: no file is named")
        .hint("name files, or a list of them with --files-from");
  }
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
  for (const std::string& file : files) {
    const std::string output = output_of(options, file);
    if (output == file && file != "-")
      throw Error(Kind::usage, fmt::format("sign {}: input and output are the same", quoted(file)));
    if (!outputs.insert(std::filesystem::path(output).lexically_normal()).second) {
      throw Error(Kind::usage, fmt::format("sign {}: another signature would go to {} as well",
                                           quoted(file), quoted(output)));
    }
    if (context.options.json && output == "-") {
      throw Error(Kind::usage, "print a signature as JSON: that does not go together")
          .hint("name a file with -o");
    }
    check_output(output, options.resume ? Replace::yes : context.replace());
    tasks.push_back({file, output});
  }
  return tasks;
}

// What the files of one run are signed with.
struct Signer {
  std::shared_ptr<ossl::RemoteKey> key;
  ossl::Scheme scheme;
  std::optional<MessageSigner> message;  // of formats that need a certificate
};

Bytes signature_of(const std::string& file, const Options& options, const Signer& signer,
                   const Announce& announce) {
  if (signer.message) return signed_message(file, *signer.message, options.message, announce);
  const Bytes input =
      input_to_sign(file, signer.key->public_key(), signer.scheme, options.signature);
  // What is signed: the digest itself, or for Ed25519, which has none, that of the message.
  announce(signer.scheme.digest != nullptr ? input
                                           : ossl::digest(ossl::digest_named("sha256"), input));
  Bytes signature = signer.key->sign(signer.scheme, input);
  if (!options.signature.raw()) return signature;
  return ossl::ecdsa_raw_from_der(signer.key->public_key(), signature);
}

bool is_raw_signature(const Bytes& written, const std::string& file, const Options& options,
                      const Signer& signer) {
  EVP_PKEY* key = signer.key->public_key();
  const Bytes signature =
      options.signature.raw() ? ossl::ecdsa_der_from_raw(key, written) : written;
  return ossl::verify(key, signer.scheme,
                      input_to_sign(file, key, signer.scheme, options.signature), signature);
}

// For --resume: true when the signature is there and verifies.
bool is_signed(const SigningTask& task, const Options& options, const Signer& signer) {
  if (task.output == "-" || !std::filesystem::exists(task.output)) return false;
  const Bytes written = read_file(task.output, cms::kMostMessageFile);
  try {
    return signer.message ? is_signed_message(written, task.file, *signer.message, options.message)
                          : is_raw_signature(written, task.file, options, signer);
  } catch (const Error& error) {
    if (error.kind() == Kind::malformed || error.kind() == Kind::usage) return false;
    throw;
  }
}

SigningResult sign_file(const SigningTask& task, const Options& options, const Signer& signer,
                        const Context& context, const Announce& announce) {
  if (options.resume && is_signed(task, options, signer))
    return {SigningResult::Fate::signed_before, "", std::nullopt, {}};
  check_output(task.output, context.replace());
  SigningResult result{SigningResult::Fate::signed_now, "", std::nullopt, {}};
  Bytes signature = signature_of(task.file, options, signer, [&](ByteView digest) {
    result.digest = hex(digest);
    if (announce) announce(digest);
  });
  if (task.output == "-") {
    result.for_standard_output = std::move(signature);
  } else {
    write_file(task.output, signature, kPublicFile, context.replace());
  }
  return result;
}

// The same key in a session of the worker's own.
Signer signer_of_worker(const tokens::OpenToken& token, const tokens::Key& key,
                        const Signer& first) {
  tokens::OpenToken own = token;
  own.session = pkcs11::Session::open(token.module, token.slot, pkcs11::Access::read_only);
  Signer signer{tokens::remote_key(own, key), first.scheme, std::nullopt};
  if (first.message) signer.message = first.message->with_key(signer.key);
  return signer;
}

// One entry a file; of many files, one before the first and one with the hash of all results.
Json entry_of(const Outcome& outcome, const char* event) {
  return {{"event", event},
          {"key", outcome.data["key"]},
          {"scheme", outcome.data["scheme"]},
          {"format", outcome.data["format"]}};
}

void record_results(std::span<const SigningTask> tasks, std::span<const SigningResult> results,
                    const Outcome& outcome, const Context& context) {
  std::string lines;
  std::size_t made = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (results[i].fate != SigningResult::Fate::signed_now) continue;
    ++made;
    lines += fmt::format("{} {}\n", results[i].digest, tasks[i].file);
  }
  Json entry = entry_of(outcome, "signed");
  entry["signed"] = made;
  entry["failed"] = outcome.failures.size();
  entry["results"] = sha256_hex(as_bytes(lines));
  record(context, entry, audit::Flush::no);
}

void report(const SigningTask& task, SigningResult& result, Outcome& outcome) {
  using Fate = SigningResult::Fate;
  if (result.fate == Fate::failed) return outcome.failures.push_back(*result.error);
  if (result.fate == Fate::not_tried) {
    return outcome.failures.push_back(
        Error(Kind::token_removed,
              fmt::format("sign {}: not tried, the token is gone", quoted(task.file))));
  }
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

Outcome plan(std::span<const SigningTask> tasks, const Options& options, const Signer& signer) {
  std::vector<Change> changes;
  for (const SigningTask& task : tasks) {
    if (options.resume && is_signed(task, options, signer)) continue;
    input_to_sign(task.file, signer.key->public_key(), signer.scheme, options.signature);
    changes.push_back({Change::Kind::create, "file " + task.output});
  }
  return planned(changes);
}

void sign_all(std::span<const SigningTask> tasks, const Options& options,
              const tokens::OpenToken& token, const tokens::Key& key, const Signer& first,
              const Context& context, Outcome& outcome) {
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
  // The first worker has the session that is open, each other one its own.
  std::atomic<bool> first_is_taken = false;
  const MakeWorker make_worker = [&]() -> SignFile {
    std::shared_ptr<const Signer> signer(&first, [](const Signer*) {});
    if (first_is_taken.exchange(true))
      signer = std::make_shared<Signer>(signer_of_worker(token, key, first));
    return [&, signer](const SigningTask& task) {
      return sign_file(task, options, *signer, context, announce);
    };
  };
  // A key that wants its PIN for each signature, and a trace, are for one thread.
  const bool one = key.always_authenticate || context.options.trace;
  std::vector<SigningResult> results =
      sign_files(tasks, one ? 1 : options.jobs, make_worker, context);
  if (!many && results.front().error) throw Error(*results.front().error);
  for (std::size_t i = 0; i < tasks.size(); ++i) report(tasks[i], results[i], outcome);
  if (many) record_results(tasks, results, outcome, context);
}

Outcome run(const Options& options, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.key);
  check_options(options);
  const std::vector<SigningTask> tasks = tasks_of(options, context);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, &selector);
  const tokens::Key key = tokens::find_one(token, selector);
  tokens::check_may_sign(key);
  const auto remote = tokens::remote_key(token, key);
  const ossl::Scheme scheme =
      ossl::choose_scheme(remote->public_key(), options.signature.scheme, options.signature.digest);
  check_sig_format(options.signature, remote->public_key());
  Signer signer{remote, scheme, std::nullopt};
  if (!options.message.is_raw())
    signer.message = message_signer(token, key, remote, scheme, options.message, context);
  if (context.options.plan) return plan(tasks, options, signer);
  Outcome outcome;
  outcome.data = {{"key", key.uri},
                  {"scheme", ossl::describe(remote->public_key(), scheme)},
                  {"format", options.message.format},
                  {"signatures", Json::array()}};
  sign_all(tasks, options, token, key, signer, context, outcome);
  return outcome;
}

}  // namespace

void add_sign(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--key", options->key, "Label, id:HEX or PKCS#11 URI of the key").required();
  command.add_option("FILE", options->files, "Files to sign; - is standard input");
  command.add_option("--files-from", options->list, "A file that names more files, one a line");
  add_message_options(command, options->message);
  add_signature_options(command, options->signature);
  const Argument output = command.add_option(
      "-o,--output", options->output, "Where it goes (default FILE.sig, .p7s, .p7m, .eml, .jws)");
  command.add_option("--out-dir", options->out_dir, "Folder for the signatures").excludes(output);
  command.add_option("--jobs", options->jobs, "Sessions that sign at the same time (default 1)")
      .within(1, 64);
  command.add_flag(
      "--resume", options->resume,
      "Go on with a run that was interrupted: what is signed already is left as it is");
  command.footer(
      "Examples:\n  hsmith sign --key mail --format cms --chain release.tar.gz\n"
      "  hsmith sign --key web --files-from list --out-dir signatures --jobs 2 --resume");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
