// hsmith recover: an agent opens recovery blobs with the card; needs the blob and the card only.
#include "src/recovery/recover.h"

#include <filesystem>
#include <fmt/format.h>
#include <openssl/rand.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/passwords.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/recovery/pfx_check.h"
#include "src/x509/certificate.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string output;
  std::vector<std::string> officers;
  std::optional<std::string> password;
  bool generate_password = false;
  bool merge = false;
  bool legacy = false;
  bool show = false;
};

struct Input {
  std::string file;
  recovery::RecoveryBlob blob;
};

std::vector<Input> read_inputs(const Options& options) {
  std::vector<Input> inputs;
  for (const std::string& file : options.files)
    inputs.push_back({file, recovery::read_blob(read_file(file), file)});
  return inputs;
}

Json agents_json(const recovery::RecoveryBlob& blob) {
  Json agents = Json::array();
  for (const auto& recipient : blob.envelope.data.recipients) {
    X509* certificate = recovery::certificate_of(blob, recipient);
    Json agent{{"encryption", recovery::ability_of(recipient)}};
    if (certificate != nullptr) {
      const auto facts = x509::certificate_facts(certificate);
      agent["subject"] = json_text(facts.subject);
      agent["serial"] = facts.serial;
      agent["sha256"] = facts.sha256;
    } else if (!recipient.name.issuer.empty()) {
      agent["issuer"] = json_text(cms::issuer_text(recipient.name));
      agent["serial"] = hex(recipient.name.serial);
    }
    agents.push_back(std::move(agent));
  }
  return agents;
}

std::vector<std::string> agent_names(const recovery::RecoveryBlob& blob) {
  std::vector<std::string> names;
  for (const auto& recipient : blob.envelope.data.recipients) {
    X509* certificate = recovery::certificate_of(blob, recipient);
    names.push_back(certificate != nullptr ? x509::certificate_facts(certificate).subject
                                           : cms::recipient_text(recipient));
  }
  return names;
}

Outcome show(const std::vector<Input>& inputs) {
  Outcome outcome;
  outcome.data["blobs"] = Json::array();
  for (const Input& input : inputs) {
    const auto facts = x509::certificate_facts(input.blob.user.get());
    outcome.data["blobs"].push_back({{"file", json_text(input.file)},
                                     {"subject", json_text(facts.subject)},
                                     {"serial", facts.serial},
                                     {"not_after", rfc3339(facts.not_after)},
                                     {"sha256", facts.sha256},
                                     {"officer", json_text(input.blob.signer)},
                                     {"agents", agents_json(input.blob)}});
    outcome.text += fmt::format("{}: the key of {}, serial {}, until {}\n  signed by {}\n",
                                printable(input.file), facts.subject, facts.serial,
                                rfc3339(facts.not_after), input.blob.signer);
    for (const std::string& name : agent_names(input.blob))
      outcome.text += fmt::format("  agent {}\n", name);
  }
  return outcome;
}

std::vector<ossl::Certificate> officers_of(const Options& options, const Context& context) {
  std::vector<std::string> files = options.officers;
  const auto& configured = context.config.recover_officers;
  files.insert(files.end(), configured.begin(), configured.end());
  std::vector<ossl::Certificate> officers;
  for (const std::string& file : files) {
    for (auto& officer : x509::read_certificates(read_file(file), quoted(file)))
      officers.push_back(std::move(officer));
  }
  if (officers.empty()) {
    throw Error(Kind::refused, "recover: no officer is named whose blobs may be opened")
        .hint("name the officer's certificate with --officer-cert, or in [recover] officers");
  }
  return officers;
}

// The agent's key for a blob: of its recipients the one whose private key is on the token; by the
// certificate that came with the blob or is on the token, so by modulus in the end.
struct Match {
  const cms::Recipient* recipient;
  const tokens::Key* key;
};

std::optional<Match> match(const recovery::RecoveryBlob& blob, const tokens::Inventory& inventory) {
  for (const auto& recipient : blob.envelope.data.recipients) {
    ossl::Certificate certificate;
    if (X509* known = recovery::certificate_of(blob, recipient)) certificate = ossl::share(known);
    for (const auto& there : inventory.certificates) {
      if (certificate) break;
      auto parsed = x509::certificate_from_der(there.der, there.uri);
      if (cms::names(recipient.name, parsed.get())) certificate = std::move(parsed);
    }
    if (!certificate) continue;
    EVP_PKEY* wanted = x509::public_key_of(certificate.get());
    for (const tokens::Key& key : inventory.private_keys) {
      ossl::PKey half;
      try {
        half = tokens::public_key_of(inventory, key);
      } catch (const Error&) {  // a key whose public half nobody knows cannot be the one
        continue;
      }
      if (ossl::same_public_key(half.get(), wanted)) return Match{&recipient, &key};
    }
  }
  return std::nullopt;
}

[[noreturn]] void fail_wrong_card(const Input& input, const tokens::OpenToken& token) {
  std::vector<std::string> names = agent_names(input.blob);
  throw Error(Kind::not_found, fmt::format("recover from {}: no key on the token {} can open it",
                                           quoted(input.file), quoted(token.info.label)))
      .hint("the agents that can: hsmith recover --show " + input.file)
      .candidates(std::move(names));
}

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

std::string output_of(const Options& options, const Input& input) {
  if (options.merge || options.files.size() == 1) return options.output;
  const std::string serial = x509::certificate_facts(input.blob.user.get()).serial;
  return (std::filesystem::path(options.output) / (serial + ".p12")).string();
}

struct Recovered {
  std::string file;
  recovery::Pfx pfx;
};

// All keys are opened, one login, before anything is written.
std::vector<Recovered> open_all(const std::vector<Input>& inputs, const Options& options,
                                const tokens::OpenToken& token, const tokens::Inventory& inventory,
                                Context& context) {
  std::vector<Recovered> all;
  for (const Input& input : inputs) {
    const auto found = match(input.blob, inventory);
    if (!found) fail_wrong_card(input, token);
    record(context,
           {{"event", "recover"},
            {"token", json_text(token.info.label)},
            {"serial", json_text(token.info.serial)},
            {"blob", hex(input.blob.sha256)},
            {"certificate", x509::certificate_sha256(input.blob.user.get())}},
           audit::Flush::yes);
    const auto agent = tokens::remote_key(token, *found->key);
    recovery::Pfx pfx = recovery::pfx_of(
        input.blob, recovery::open_blob(input.blob, *found->recipient, *agent, input.file));
    if (options.merge && !all.empty()) {
      recovery::merge_into(all.front().pfx, std::move(pfx));
    } else {
      all.push_back({output_of(options, input), std::move(pfx)});
    }
  }
  return all;
}

void check_options(const Options& options, Context& context) {
  if (options.output.empty()) throw Error(Kind::usage, "recover: no file to write is named (-o)");
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
  check_output(options.output, context.replace());
}

Outcome written(const std::vector<Recovered>& all, const Options& options, const Secret& password,
                Context& context) {
  const auto style = options.legacy ? recovery::PfxStyle::old_windows : recovery::PfxStyle::modern;
  Outcome outcome;
  outcome.data["files"] = Json::array();
  for (const Recovered& one : all) {
    write_file(one.file, recovery::write_pfx(one.pfx, password, style), kPrivateFile,
               context.replace());
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
  if (options.generate_password) {
    outcome.data["password"] = std::string(as_text(password.reveal()));
    outcome.text += fmt::format("password: {}\n", as_text(password.reveal()));
  }
  return outcome;
}

Outcome run(const Options& options, Context& context) {
  guard_keys(context);
  const std::vector<Input> inputs = read_inputs(options);
  if (options.show) return show(inputs);
  check_options(options, context);
  const auto officers = officers_of(options, context);
  std::vector<Change> changes;
  for (const Input& input : inputs) {
    recovery::require_officer(input.blob, officers, input.file);
    const std::string file = output_of(options, input);
    if (!options.merge) check_output(file, context.replace());
    if (changes.empty() || !options.merge) changes.push_back({Change::Kind::create, file});
  }
  const bool ask = !options.generate_password && !context.options.plan;
  const Secret password = ask ? new_password(context, options.password, options.output)
                              : Secret::take(random_password());
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only);
  const tokens::Inventory inventory = tokens::take_inventory(token);
  if (context.options.plan) {
    for (const Input& input : inputs) {
      if (!match(input.blob, inventory)) fail_wrong_card(input, token);
    }
    return planned(changes);
  }
  return written(open_all(inputs, options, token, inventory, context), options, password, context);
}

}  // namespace

void add_recover(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("FILE", options->files, "Recovery blobs (.rec)").required();
  command.add_option("-o,--output", options->output,
                     "PKCS#12 file to write; for several blobs without --merge a folder");
  command
      .add_option("--officer-cert", options->officers,
                  "Certificate of an officer whose blobs may be opened")
      .one_each();
  command.add_option("--out-password-source", options->password,
                     "Password of the new file: file:PATH, env:NAME, fd:N, cmd:COMMAND, prompt");
  command.add_flag("--generate-password", options->generate_password,
                   "Make the password, and print it once");
  command.add_flag("--merge", options->merge, "All keys into one file");
  command.add_flag("--legacy", options->legacy,
                   "3DES and SHA-1, for Windows before Windows 10 and Server 2019");
  command.add_flag("--show", options->show,
                   "Whose key it is and which agents can open it; needs no token");
  command.footer(
      "Examples:\n  hsmith recover alice.rec -o alice.p12 --officer-cert officer.crt "
      "--generate-password\n"
      "  hsmith recover --show alice.rec");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
