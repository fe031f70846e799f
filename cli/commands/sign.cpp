// hsmith sign: the digest is made here, the token signs it, and each signature is verified.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <set>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/message_signing.h"
#include "cli/signature_options.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string key;
  MessageOptions message;
  SignatureOptions signature;
  std::vector<std::string> files;
  std::string output;
  std::string out_dir;
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

void check_options(const Options& options, const Context& context) {
  check_message_options(options.message);
  if (!options.message.is_raw() && (options.signature.raw() || options.signature.prehashed)) {
    throw Error(Kind::usage, "--sig-format and --prehashed: for raw signatures only");
  }
  if (!options.output.empty() && options.files.size() > 1) {
    throw Error(Kind::usage, fmt::format("-o {}: one file for {} signatures",
                                         quoted(options.output), options.files.size()))
        .hint("name a folder with --out-dir");
  }
  std::set<std::filesystem::path> outputs;
  for (const std::string& file : options.files) {
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
    check_output(output, context.replace());
  }
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

void sign_file(const std::string& file, const Options& options, const Signer& signer,
               const Context& context, Outcome& outcome) {
  const Bytes signature = signature_of(file, options, signer, [&](ByteView digest) {
    record(context,
           {{"event", "sign"},
            {"key", outcome.data["key"]},
            {"scheme", outcome.data["scheme"]},
            {"format", options.message.format},
            {"file", json_text(file)},
            {"digest", hex(digest)}},
           audit::Flush::no);
  });
  const std::string output = output_of(options, file);
  if (output == "-") {
    outcome.raw = signature;
    return;
  }
  write_file(output, signature, kPublicFile, context.replace());
  outcome.data["signatures"].push_back(
      {{"file", json_text(file)}, {"signature", json_text(output)}});
  outcome.text += fmt::format("{}\n", printable(output));
}

Outcome run(const Options& options, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.key);
  check_options(options, context);
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
  if (context.options.plan) {
    std::vector<Change> changes;
    for (const std::string& file : options.files) {
      input_to_sign(file, remote->public_key(), scheme, options.signature);
      changes.push_back({Change::Kind::create, "file " + output_of(options, file)});
    }
    return planned(changes);
  }
  Outcome outcome;
  outcome.data = {{"key", key.uri},
                  {"scheme", ossl::describe(remote->public_key(), scheme)},
                  {"format", options.message.format},
                  {"signatures", Json::array()}};
  for (const std::string& file : options.files) {
    try {
      sign_file(file, options, signer, context, outcome);
    } catch (const Error& error) {
      if (options.files.size() == 1) throw;
      outcome.failures.push_back(error);
      // Without its token no other file can be signed.
      if (error.kind() == Kind::token_removed) break;
    }
  }
  return outcome;
}

}  // namespace

void add_sign(CLI::App& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--key", options->key, "Label, id:HEX or PKCS#11 URI of the key")->required();
  command.add_option("FILE", options->files, "Files to sign; - is standard input")->required();
  add_message_options(command, options->message);
  add_signature_options(command, options->signature);
  CLI::Option* output = command.add_option(
      "-o,--output", options->output, "Where it goes (default FILE.sig, .p7s, .p7m, .eml, .jws)");
  command.add_option("--out-dir", options->out_dir, "Folder for the signatures")->excludes(output);
  command.footer(
      "Examples:\n  hsmith sign --key web release.tar.gz\n"
      "  hsmith sign --key mail --format cms --chain release.tar.gz");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
