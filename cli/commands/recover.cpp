// hsmith recover: an agent opens recovery blobs with the card; needs the blob and the card only.
#include "src/recovery/recover.h"

#include <algorithm>
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
#include "src/base/file_identity.h"
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

bool into_one_file(const Options& options) { return options.merge || options.files.size() == 1; }

// Into the inputs: the file of each blob.
void name_outputs(const Options& options, std::vector<BlobFile>& inputs) {
  if (options.to_token) return;
  std::vector<X509*> users;
  for (const BlobFile& input : inputs) users.push_back(input.blob.user.get());
  const std::vector<std::string> names = serial_names(users);
  std::map<std::string, std::string> blobs;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    inputs[i].output = options.output;
    if (into_one_file(options)) continue;
    const auto [other, is_new] = blobs.emplace(names[i], inputs[i].file);
    if (!is_new) {
      throw Error(Kind::usage, fmt::format("recover: {} and {} hold the same key",
                                           quoted(other->second), quoted(inputs[i].file)))
          .hint("name one of them");
    }
    inputs[i].output = (std::filesystem::path(options.output) / (names[i] + ".p12")).string();
  }
}

void check_file_options(const Options& options, const RunFiles& files) {
  if (options.output.empty())
    throw Error(Kind::usage, "recover: neither a file to write (-o) nor --to-token is named");
  if (options.output == "-") throw Error(Kind::usage, "recover -o -: name a file");
  if (options.password && options.generate_password)
    throw Error(Kind::usage, "recover: --out-password-source or --generate-password, not both");
  if (!into_one_file(options)) {
    if (!std::filesystem::is_directory(options.output)) {
      throw Error(Kind::usage, fmt::format("recover -o {}: several blobs need a folder, or --merge",
                                           quoted(options.output)));
    }
    return;
  }
  check_output(options.output, files.replace(options.output));
}

// Several keys cannot have one id.
void check_target(const Options& options) {
  if (!options.to_token || options.files.size() < 2) return;
  if (tokens::parse_selector(*options.to_token).uri.id)
    throw Error(Kind::usage, "recover --to-token: the URI has an id, and there are several blobs")
        .hint("leave id= away: each key gets the identifier of its public key");
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

void check_outputs(const Options& options, const std::vector<BlobFile>& inputs,
                   const RunFiles& files) {
  if (options.to_token) return;
  for (const BlobFile& input : inputs) {
    if (!options.receipt.empty() && is_same_file(options.receipt, input.output))
      throw Error(Kind::usage, "recover: two of its files have the same name");
  }
  if (into_one_file(options)) return;  // check_options() did
  for (const BlobFile& input : inputs) check_output(input.output, files.replace(input.output));
}

std::vector<Change> changes_of(const Options& options, const std::vector<AgentMatch>& agents) {
  std::vector<Change> changes;
  for (const AgentMatch& agent : agents) {
    if (options.to_token) {
      const auto facts = x509::certificate_facts(agent.input->blob.user.get());
      changes.push_back(
          {Change::Kind::create, fmt::format("the key of {}, serial {}, with its certificate on {}",
                                             facts.subject, facts.serial, *options.to_token)});
    } else if (changes.empty() || !options.merge) {
      changes.push_back({Change::Kind::create, agent.input->output});
    }
  }
  if (!options.receipt.empty() && !agents.empty())
    changes.push_back({Change::Kind::create, options.receipt});
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

// So many keys are in memory at once, where nothing needs all of them.
constexpr std::size_t kBatch = 100;

// Keys on their way into files.
class Files {
 public:
  Files(const Options& options, const Secret& password, RunFiles& files)
      : options_(options),
        writer_(password,
                options.legacy ? recovery::PfxStyle::old_windows : recovery::PfxStyle::modern),
        files_(files) {
    outcome_.data["files"] = Json::array();
  }

  void write(std::vector<Opened> opened) {
    std::vector<MadeFile> made;
    for (auto& [file, pfx] : pfxs_of(std::move(opened))) {
      made.push_back({file, writer_.write(pfx)});
      add(file, pfx);
    }
    files_.write(made);
  }

  // The password that was made here.
  Outcome done(const Secret& password) {
    if (!options_.generate_password || outcome_.data["files"].empty()) return std::move(outcome_);
    outcome_.data["password"] = std::string(as_text(password.reveal()));
    outcome_.text += fmt::format("password: {}\n", as_text(password.reveal()));
    return std::move(outcome_);
  }

 private:
  std::vector<std::pair<std::string, recovery::Pfx>> pfxs_of(std::vector<Opened> opened) const {
    std::vector<std::pair<std::string, recovery::Pfx>> all;
    for (Opened& one : opened) {
      recovery::Pfx pfx = recovery::pfx_of(one.input->blob, std::move(one.key));
      if (options_.merge && !all.empty()) {
        recovery::merge_into(all.front().second, std::move(pfx));
      } else {
        all.emplace_back(one.input->output, std::move(pfx));
      }
    }
    return all;
  }

  void add(const std::string& file, const recovery::Pfx& pfx) {
    Json keys = Json::array();
    for (const auto& entry : pfx.keys) {
      for (const X509* its : recovery::certificates_of(pfx, entry.key.get())) {
        const auto facts = x509::certificate_facts(const_cast<X509*>(its));
        keys.push_back({{"subject", json_text(facts.subject)},
                        {"serial", facts.serial},
                        {"sha256", facts.sha256}});
        outcome_.text += fmt::format("{}: the key of {}, serial {}\n", printable(file),
                                     facts.subject, facts.serial);
      }
    }
    outcome_.data["files"].push_back({{"file", json_text(file)}, {"keys", std::move(keys)}});
  }

  const Options& options_;
  recovery::PfxWriter writer_;
  RunFiles& files_;
  Outcome outcome_;
};

struct Run {
  const Options& options;
  Context& context;
  RunFiles& files;
  Failures failures;
};

Outcome with_failures(Outcome outcome, Run& run) {
  outcome.failures = std::move(run.failures.errors);
  return outcome;
}

// The agent for each blob. Those that have none on this token are failures.
std::vector<AgentMatch> match_agents(Run& run, const std::vector<BlobFile>& inputs,
                                     const tokens::OpenToken& token,
                                     const tokens::Inventory& inventory) {
  const RecipientChoice choice =
      run.options.recipient ? parse_recipient(*run.options.recipient) : RecipientChoice{};
  std::vector<AgentMatch> agents;
  for (const BlobFile& input : inputs) {
    or_failed(run.failures,
              [&] { agents.push_back(match_agent(input, choice, token, inventory)); });
  }
  return agents;
}

// Opens them, and gives the keys to `take`. The receipt is there before a key leaves: where one is
// wanted, or all keys go one way, they wait for each other. False when none was opened.
bool open_all(Run& run, const std::vector<AgentMatch>& agents, const tokens::OpenToken& token,
              const std::string& to, const std::function<void(std::vector<Opened>)>& take) {
  const bool with_receipt = !run.options.receipt.empty();
  const bool together = run.options.to_token || run.options.merge || with_receipt;
  const std::size_t most = together ? agents.size() : kBatch;
  bool is_opened = false;
  for (std::size_t at = 0; at < agents.size(); at += most) {
    const auto batch = std::span(agents).subspan(at, std::min(most, agents.size() - at));
    OpenedBlobs opened = open_blobs(batch, token, with_receipt, to, run.failures, run.context);
    if (opened.keys.empty()) continue;
    is_opened = true;
    if (with_receipt) run.files.write({{run.options.receipt, opened.receipt}});
    take(std::move(opened.keys));
  }
  return is_opened;
}

// The blobs that a trusted officer signed, with the files for their keys.
std::vector<BlobFile> inputs_of(Run& run, std::vector<BlobFile> read) {
  const auto officers = trusted_officers(run.options.officers, run.context);
  std::erase_if(read, [&](const BlobFile& input) {
    return !or_failed(run.failures, [&] {
      const recovery::RecoveryBlob& blob = input.blob;
      require_officer(blob.signer_certificate.get(), blob.signer, officers, input.file);
    });
  });
  warn_of_compromised(run.context, read);
  name_outputs(run.options, read);
  check_outputs(run.options, read, run.files);
  return read;
}

Outcome recover(Run& run, const std::vector<BlobFile>& inputs) {
  const Options& options = run.options;
  std::optional<TargetToken> target;
  if (options.to_token) target = target_token(run.context, *options.to_token, options.to_pin);
  if (target) target->several = options.files.size() > 1;
  const bool ask = !target && !options.generate_password && !run.context.options.plan;
  const Secret password = ask ? new_password(run.context, options.password, options.output)
                              : Secret::take(random_password());
  Files written(options, password, run.files);
  std::vector<Opened> for_token;
  bool is_opened = false;
  {  // the agent's token is open in here only: the user's may be one of the same module
    const tokens::OpenToken token = open_for_user(run.context, pkcs11::Access::read_only);
    const tokens::Inventory inventory = tokens::take_inventory(token);
    const auto agents = match_agents(run, inputs, token, inventory);
    if (run.context.options.plan) return planned(changes_of(options, agents));
    is_opened = open_all(run, agents, token, target ? target->text : options.output,
                         [&](std::vector<Opened> opened) {
                           if (!target) return written.write(std::move(opened));
                           for_token = std::move(opened);
                         });
  }
  Outcome outcome =
      target ? put_on_token(run.context, *target, for_token, run.failures) : written.done(password);
  if (!options.receipt.empty() && is_opened) {
    outcome.data["receipt"] = json_text(options.receipt);
    outcome.text += fmt::format("{}: the receipt\n", printable(options.receipt));
  }
  return outcome;
}

Outcome run(const Options& options, Context& context) {
  if (!options.show) guard_keys(context);
  RunFiles files(context);
  Run run{options, context, files, {into_one_file(options) && !options.show, {}}};
  std::vector<BlobFile> read = read_blobs(options.files, run.failures);
  if (options.show) return with_failures(show_blobs(read), run);
  check_target(options);
  check_options(options, files);
  const auto inputs = inputs_of(run, std::move(read));
  Outcome outcome;
  outcome.data["files"] = Json::array();
  if (!inputs.empty()) outcome = recover(run, inputs);
  if (!context.options.plan) files.done();
  return with_failures(std::move(outcome), run);
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
      "URI of the user's token in place of a file; object= and id= give the key's label and id");
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
