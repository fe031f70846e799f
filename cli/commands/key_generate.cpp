// hsmith key generate: make a key on the token, not exportable, and read it back.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/key_output.h"
#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string name;
  std::string type;
  std::string use = "sign";
  std::string id;
};

tokens::KeySpec spec_of(const Options& options) {
  tokens::check_new_label(options.name);
  tokens::KeySpec spec;
  spec.type = &ossl::key_type_named(options.type);
  if (spec.type->algorithm == ossl::KeyAlgorithm::aes) {
    throw Error(Kind::unsupported,
                "generate an AES key: only wrapping keys are AES, and they are not made yet");
  }
  spec.uses = tokens::parse_uses(options.use, *spec.type);
  spec.label = options.name;
  if (!options.id.empty()) {
    const auto id = parse_hex(options.id);
    if (!id) throw Error(Kind::usage, fmt::format("--id {}: not hexadecimal", quoted(options.id)));
    spec.id = *id;
  }
  return spec;
}

Outcome run(const Options& options, Context& context) {
  const tokens::KeySpec spec = spec_of(options);
  const tokens::Reach way = reach(context);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write, way);
  const auto lock = tokens::lock_token(way, token.info);
  tokens::check_free(token, spec.label, spec.id);
  if (spec.type->algorithm == ossl::KeyAlgorithm::ed25519) {
    // libp11 0.4.12 (Debian 12) gives up listing a token's keys at the first Ed25519 key.
    context.warn(
        "programs that use libp11 0.4.12 or older (nginx, Apache, curl with OpenSSL's pkcs11 "
        "engine) "
        "cannot use any key of a token that holds an Ed25519 key");
  }
  if (context.options.plan) {
    return planned(
        {{Change::Kind::create,
          fmt::format("key pair {} of type {} for {} on {}", quoted(spec.label), spec.type->name,
                      tokens::use_names(spec.uses), tokens::token_uri(token.info))}});
  }
  const Json facts{
      {"label", spec.label}, {"type", spec.type->name}, {"use", tokens::use_names(spec.uses)}};
  const tokens::Generated made =
      undertake(context, token.info, facts, [&](Undertaking& undertaking) {
        return tokens::generate(token, spec, [&](EVP_PKEY* key) {
          undertaking.know("public_key", hex(ossl::spki_of(key)));
        });
      });
  for (const std::string& note : made.notes) context.warn(note);
  Outcome outcome;
  outcome.data = key_json(made.key);
  outcome.text = fmt::format("{}\n", made.key.uri);
  return outcome;
}

}  // namespace

void add_key_generate(CLI::App& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("NAME", options->name, "Label of the new key; must be free")->required();
  command
      .add_option("--type", options->type,
                  "rsa:2048 rsa:3072 rsa:4096 ec:p256 ec:p384 ec:p521 ed25519")
      ->required();
  command.add_option("--use", options->use,
                     "sign, decrypt, derive, or several with commas (default sign)");
  command.add_option("--id", options->id, "CKA_ID in hex (default: SHA-1 of the public key)");
  command.footer(
      "Examples:\n  hsmith key generate web --type rsa:2048 --use sign\n"
      "  hsmith key generate mail --type rsa:3072 --use decrypt --token prod");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
