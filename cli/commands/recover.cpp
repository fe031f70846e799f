// hsmith recover: an agent opens recovery blobs with the card; needs the blob and the card only.
#include "src/recovery/recover.h"

#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <openssl/rand.h>

#include "cli/commands.h"
#include "cli/officer.h"
#include "cli/passwords.h"
#include "cli/recovery_to_token.h"
#include "cli/run_files.h"
#include "cli/serial_names.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/recovery/pfx_check.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string output;
  std::vector<std::string> officers;
  std::optional<std::string> password;
  std::optional<std::string> to_token;
  std::optional<std::string> to_pin;
  std::string receipt;
  std::optional<std::string> recipient;
  bool generate_password = false;
  bool merge = false;
  bool legacy = false;
  bool show = false;
};

// 128 random bits in groups that can be read out.
std::string random_password() {
  std::array<unsigned char, 16> bytes;
  ossl::check(RAND_bytes(bytes.data(), bytes.size()) == 1, "make a password");
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    if (i != 0) text += '-';
    text += hex(ByteView(bytes).subspan(i, 4));
  }
  return text;
}

// The file of each blob.
std::vector<std::string> outputs_of(const Options& options, const std::vector<BlobFile>& inputs) {
  if (options.to_token || options.merge || inputs.size() == 1)
    return std::vector<std::string>(inputs.size(), options.output);
  std::vector<X509*> users;
  for (const BlobFile& input : inputs) users.push_back(input.blob.user.get());
  std::vector<std::string> outputs;
  std::map<std::string, std::string> blobs;
  for (const std::string& name : serial_names(users)) {
    const std::string& blob = inputs[outputs.size()].file;
    const auto [other, is_new] = blobs.emplace(name, blob);
    if (!is_new) {
      throw Error(Kind::usage, fmt::format("recover: {} and {} hold the same key",
                                           quoted(other->second), quoted(blob)))
          .hint("name one of them");
    }
    outputs.push_back((std::filesystem::path(options.output) / (name + ".p12")).string());
  }
  return outputs;
}

void check_file_options(const Options& options, const RunFiles& files) {
  if (options.output.empty())
    throw Error(Kind::usage, "recover: neither a file to write (-o) nor --to-token is named");
  if (options.output == "-") throw Error(Kind::usage, "recover -o -: name a file");
  if (options.password && options.generate_password)
    throw Error(Kind::usage, "recover: --out-password-source or --generate-password, not both");
  if (options.files.size() > 1 && !options.merge) {
    if (!std::filesystem::is_directory(options.output)) {
      throw Error(Kind::usage, fmt::format("recover -o {}: several blobs need a folder, or --merge",
                                           quoted(options.output)));
    }
    return;
  }
  check_output(options.output, files.replace(options.output));
}

void check_options(const Options& options, const RunFiles& files) {
  if (options.recipient) parse_recipient(*options.recipient);
  if (!options.receipt.empty()) {
    if (options.receipt == "-") throw Error(Kind::usage, "recover --receipt -: name a file");
    check_output(options.receipt, files.replace(options.receipt));
  }
  if (!options.to_token) return check_file_options(options, files);
  const bool of_files = !options.output.empty() || options.password || options.generate_password ||
                        options.merge || options.legacy;
  if (of_files)
    throw Error(Kind::usage, "recover --to-token: -o and the options of files have no place here");
}

std::vector<Change> changes_of(const Options& options, const std::vector<BlobFile>& inputs,
                               const std::vector<std::string>& outputs, const RunFiles& files) {
  std::vector<Change> changes;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (options.to_token) {
      const auto facts = x509::certificate_facts(inputs[i].blob.user.get());
      changes.push_back(
          {Change::Kind::create, fmt::format("the key of {}, serial {}, with its certificate on {}",
                                             facts.subject, facts.serial, *options.to_token)});
      continue;
    }
    if (!options.merge) check_output(outputs[i], files.replace(outputs[i]));
    if (changes.empty() || !options.merge) changes.push_back({Change::Kind::create, outputs[i]});
  }
  if (!options.receipt.empty()) changes.push_back({Change::Kind::create, options.receipt});
  return changes;
}

void warn_of_compromised(Context& context, const std::vector<BlobFile>& inputs) {
  for (const BlobFile& input : inputs) {
    if (input.blob.compromised.empty()) continue;
    context.warn(
        fmt::format("{}: this key is revoked as compromised, and is given out for {}: "
                    "nothing new may be encrypted to it",
                    quoted(input.file), quoted(input.blob.compromised)));
  }
}

struct Recovered {
  std::string file;
  recovery::Pfx pfx;
};

std::vector<Recovered> as_files(std::vector<Opened> opened, const Options& options,
                                const std::vector<std::string>& outputs) {
  std::vector<Recovered> all;
  for (std::size_t i = 0; i < opened.size(); ++i) {
    recovery::Pfx pfx = recovery::pfx_of(opened[i].input->blob, std::move(opened[i].key));
    if (options.merge && !all.empty()) {
      recovery::merge_into(all.front().pfx, std::move(pfx));
    } else {
      all.push_back({outputs[i], std::move(pfx)});
    }
  }
  return all;
}

Outcome written(const std::vector<Recovered>& all, const Options& options, const Secret& password,
                RunFiles& files) {
  const auto style = options.legacy ? recovery::PfxStyle::old_windows : recovery::PfxStyle::modern;
  recovery::PfxWriter writer(password, style);
  std::vector<MadeFile> made;
  Outcome outcome;
  outcome.data["files"] = Json::array();
  for (const Recovered& one : all) {
    made.push_back({one.file, writer.write(one.pfx)});
    Json keys = Json::array();
    for (const auto& entry : one.pfx.keys) {
      const auto its = recovery::certificates_of(one.pfx, entry.key.get());
      const auto facts = x509::certificate_facts(const_cast<X509*>(its.front()));
      keys.push_back({{"subject", json_text(facts.subject)},
                      {"serial", facts.serial},
                      {"sha256", facts.sha256}});
      outcome.text += fmt::format("{}: the key of {}, serial {}\n", printable(one.file),
                                  facts.subject, facts.serial);
    }
    outcome.data["files"].push_back({{"file", json_text(one.file)}, {"keys", std::move(keys)}});
  }
  files.write(made);
  if (options.generate_password) {
    outcome.data["password"] = std::string(as_text(password.reveal()));
    outcome.text += fmt::format("password: {}\n", as_text(password.reveal()));
  }
  return outcome;
}

// The agent's token is open in here only: the user's may be one of the same module. The receipt is
// there before a key leaves.
std::vector<Opened> open_with_card(const std::vector<BlobFile>& inputs, const Options& options,
                                   const std::string& to, RunFiles& files, Context& context) {
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only);
  const tokens::Inventory inventory = tokens::take_inventory(token);
  const RecipientChoice choice =
      options.recipient ? parse_recipient(*options.recipient) : RecipientChoice{};
  std::vector<AgentMatch> agents;
  for (const BlobFile& input : inputs)
    agents.push_back(match_agent(input, choice, token, inventory));
  if (context.options.plan) return {};
  OpenedBlobs opened = open_blobs(inputs, agents, token, !options.receipt.empty(), to, context);
  if (!options.receipt.empty()) files.write({{options.receipt, opened.receipt}});
  return std::move(opened.keys);
}

Outcome run(const Options& options, Context& context) {
  if (!options.show) guard_keys(context);
  const std::vector<BlobFile> inputs = read_blobs(options.files);
  if (options.show) return show_blobs(inputs);
  RunFiles files(context);
  check_options(options, files);
  const auto officers = trusted_officers(options.officers, context);
  for (const BlobFile& input : inputs) {
    require_officer(input.blob.signer_certificate.get(), input.blob.signer, officers, input.file);
  }
  warn_of_compromised(context, inputs);
  const std::vector<std::string> outputs = outputs_of(options, inputs);
  const std::vector<Change> changes = changes_of(options, inputs, outputs, files);
  std::optional<TargetToken> target;
  if (options.to_token) target = target_token(context, *options.to_token, options.to_pin);
  const bool ask = !target && !options.generate_password && !context.options.plan;
  const Secret password = ask ? new_password(context, options.password, options.output)
                              : Secret::take(random_password());
  auto opened =
      open_with_card(inputs, options, target ? target->text : options.output, files, context);
  if (context.options.plan) return planned(changes);
  Outcome outcome =
      target ? put_on_token(context, *target, opened)
             : written(as_files(std::move(opened), options, outputs), options, password, files);
  if (!options.receipt.empty()) {
    outcome.data["receipt"] = json_text(options.receipt);
    outcome.text += fmt::format("{}: the receipt\n", printable(options.receipt));
  }
  files.done();
  return outcome;
}

}  // namespace

void add_recover(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("FILE", options->files, "Recovery blobs (.rec)").required();
  command.add_option("-o,--output", options->output,
                     "PKCS#12 file to write; for several blobs without --merge a folder");
  add_officer_certificates(command, options->officers);
  command.add_option("--out-password-source", options->password,
                     "Password of the new file: file:PATH, env:NAME, fd:N, cmd:COMMAND, prompt");
  command.add_flag("--generate-password", options->generate_password,
                   "Make the password, and print it once");
  command.add_flag("--merge", options->merge, "All keys into one file");
  command.add_flag("--legacy", options->legacy,
                   "3DES and SHA-1, for Windows before Windows 10 and Server 2019");
  const Argument token = command.add_option(
      "--to-token", options->to_token,
      "URI of the user's token in place of a file; object= gives the key's label");
  command
      .add_option("--to-pin-source", options->to_pin,
                  "PIN of that token: file:PATH, env:NAME, fd:N, cmd:COMMAND, prompt, pinpad")
      .needs(token);
  command.add_option("--receipt", options->receipt,
                     "File to write: what was opened, proved by the card, for the officer");
  command.add_option("--recipient", options->recipient,
                     "Which agent opens it, where the token has the keys of several: its number in "
                     "--show, or its certificate's thumbprint");
  command.add_flag("--show", options->show,
                   "Whose key it is and which agents can open it; needs no token");
  command.footer(
      "Examples:\n  hsmith recover alice.rec -o alice.p12 --officer-cert officer.crt "
      "--generate-password\n"
      "  hsmith recover alice.rec --to-token 'pkcs11:token=alice;object=mail' --officer-cert "
      "officer.crt --receipt alice.receipt");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
