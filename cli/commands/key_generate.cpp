// hsmith key generate: make a key on the token, not exportable, and read it back.
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
  std::string login_as = "user";
  std::string replace;
};

Bytes id_of(const char* option, const std::string& text) {
  const auto id = parse_hex(text);
  if (id && !id->empty()) return *id;
  throw Error(Kind::usage, fmt::format("{} {}: not hexadecimal", option, quoted(text)));
}

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
  if (!options.id.empty()) spec.id = id_of("--id", options.id);
  if (options.replace.empty()) return spec;
  const Bytes replaced = id_of("--replace", options.replace);
  if (!spec.id.empty() && spec.id != replaced)
    throw Error(Kind::usage, "key generate: --id and --replace name different ids");
  spec.id = replaced;
  return spec;
}

// The key that is to make room, with what goes along.
tokens::KeyObjects replaced_objects(const tokens::OpenToken& token, const tokens::KeySpec& spec,
                                    Context& context) {
  const tokens::Key old = tokens::find_one(token, tokens::parse_selector("id:" + hex(spec.id)));
  if (old.label != spec.label) tokens::check_free(token, spec.label, {});
  return tokens::objects_of(inventory_for_change(token, context), old);
}

Json facts_of(const tokens::KeySpec& spec, const std::optional<tokens::KeyObjects>& old) {
  Json facts{
      {"label", spec.label}, {"type", spec.type->name}, {"use", tokens::use_names(spec.uses)}};
  if (!spec.id.empty()) facts["id"] = hex(spec.id);
  if (old) facts["replaces"] = deletion_facts(*old);
  return facts;
}

std::vector<Change> changes_of(const tokens::OpenToken& token, const tokens::KeySpec& spec,
                               const std::optional<tokens::KeyObjects>& old) {
  std::vector<Change> changes;
  if (old) changes = deletions(*old);
  changes.push_back(
      {Change::Kind::create,
       fmt::format("key pair {} of type {} for {} on {}", quoted(spec.label), spec.type->name,
                   tokens::use_names(spec.uses), tokens::token_uri(token.info))});
  return changes;
}

Outcome run(const Options& options, Context& context) {
  const tokens::KeySpec spec = spec_of(options);
  const tokens::Reach way = reach(context);
  const tokens::OpenToken token = open_as(options.login_as, context, way);
  const auto lock = tokens::lock_token(way, token.info);
  tokens::check_place(token, spec);
  std::optional<tokens::KeyObjects> old;
  if (!options.replace.empty()) {
    old = replaced_objects(token, spec, context);
  } else {
    tokens::check_free(token, spec.label, spec.id);
  }
  if (spec.type->algorithm == ossl::KeyAlgorithm::ed25519) {
    // libp11 0.4.12 (Debian 12) gives up listing a token's keys at the first Ed25519 key.
    context.warn(
        "programs that use libp11 0.4.12 or older (nginx, Apache, curl with OpenSSL's pkcs11 "
        "engine) "
        "cannot use any key of a token that holds an Ed25519 key");
  }
  const std::vector<Change> changes = changes_of(token, spec, old);
  if (context.options.plan) return planned(changes);
  if (old) confirm(context, changes);
  const tokens::Generated made =
      undertake(context, token.info, facts_of(spec, old), [&](Undertaking& undertaking) {
        const auto know = [&](EVP_PKEY* key) {
          undertaking.know("public_key", hex(ossl::spki_of(key)));
        };
        return old ? tokens::replace(token, spec, *old, know) : tokens::generate(token, spec, know);
      });
  for (const std::string& note : made.notes) context.warn(note);
  Outcome outcome;
  outcome.data = key_json(made.key);
  outcome.text = fmt::format("{}\n", made.key.uri);
  return outcome;
}

}  // namespace

void add_key_generate(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("NAME", options->name, "Label of the new key; must be free").required();
  command
      .add_option("--type", options->type,
                  "rsa:2048 rsa:3072 rsa:4096 ec:p256 ec:p384 ec:p521 ed25519")
      .required();
  command.add_option("--use", options->use,
                     "sign, decrypt, derive, or several with commas (default sign)");
  command.add_option("--id", options->id, "CKA_ID in hex (default: SHA-1 of the public key)");
  command.add_option("--login-as", options->login_as, "Who makes it: user, or so (default user)")
      .one_of({"user", "so"});
  command.add_option("--replace", options->replace,
                     "Id of a key that makes room for the new one, and is destroyed");
  command.footer(
      "Examples:\n  hsmith key generate web --type rsa:2048 --use sign\n"
      "  hsmith key generate card --type ec:p256 --id 01 --login-as so");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
