// hsmith key generate: make a key on the token, not exportable, and read it back.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/key_output.h"
#include "cli/key_protection.h"
#include "cli/new_wrapping_key.h"
#include "cli/progress.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/key_series.h"
#include "tokens/made_key.h"
#include "tokens/wrapping.h"

namespace hsmith::cli {
namespace {

constexpr char kWrap[] = "wrap";

struct Options {
  std::string name;
  std::string type;
  std::string use = "sign";
  std::string id;
  std::string replace;
  std::string backup_under;
  std::string login_as = "user";
  WrappingKeyOptions wrapping;
  unsigned count = 0;  // 0: one key, whose label is the name as it is
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
  const bool is_aes = spec.type->algorithm == ossl::KeyAlgorithm::aes;
  if (is_aes != (options.use == kWrap)) {
    throw Error(Kind::usage, fmt::format("--use {}: a key of type {} cannot do that",
                                         printable(options.use), spec.type->name))
        .hint("aes keys wrap, and do nothing else: --type aes:256 --use wrap");
  }
  if (!is_aes) spec.uses = tokens::parse_uses(options.use, *spec.type);
  spec.label = options.name;
  if (!options.id.empty()) spec.id = id_of("--id", options.id);
  if (!options.backup_under.empty() && spec.type->algorithm == ossl::KeyAlgorithm::ed25519) {
    throw Error(Kind::unsupported,
                "generate an Ed25519 key for backups: tokens do not unwrap such keys")
        .hint("use --type ec:p256, or make a second key on the other token");
  }
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
  return objects_for_change(token, old, context);
}

Json facts_of(const tokens::KeySpec& spec, const std::optional<tokens::KeyObjects>& old) {
  Json facts{
      {"label", spec.label}, {"type", spec.type->name}, {"use", tokens::use_names(spec.uses)}};
  if (!spec.id.empty()) facts["id"] = hex(spec.id);
  if (old) facts["replaces"] = deletion_facts(*old);
  return facts;
}

std::vector<Change> changes_of(const tokens::OpenToken& token, const tokens::KeySpec& spec,
                               const std::optional<tokens::KeyObjects>& old, bool for_backup) {
  std::vector<Change> changes;
  if (old) changes = deletions(*old);
  changes.push_back(
      {Change::Kind::create,
       fmt::format("key pair {} of type {} for {} on {}", quoted(spec.label), spec.type->name,
                   tokens::use_names(spec.uses), tokens::token_uri(token.info)) +
           (for_backup ? ", extractable only under a trusted key" : "")});
  return changes;
}

void warn_of_ed25519(const tokens::KeySpec& spec, Context& context) {
  if (spec.type->algorithm != ossl::KeyAlgorithm::ed25519) return;
  // libp11 0.4.12 (Debian 12) gives up listing a token's keys at the first Ed25519 key.
  context.warn(
      "programs that use libp11 0.4.12 or older (nginx, Apache, curl with OpenSSL's pkcs11 "
      "engine) "
      "cannot use any key of a token that holds an Ed25519 key");
}

// What makes a key, which tells the public key as soon as there is one.
using Generate = std::function<tokens::Generated(const std::function<void(EVP_PKEY*)>& made_it)>;

tokens::Key undertake_generation(const tokens::OpenToken& token, Json facts, Context& context,
                                 const Generate& generate) {
  tokens::Generated made =
      undertake(context, token.info, std::move(facts), [&](Undertaking& undertaking) {
        return generate(
            [&](EVP_PKEY* key) { undertaking.know("public_key", hex(ossl::spki_of(key))); });
      });
  for (const std::string& note : made.notes) context.warn(note);
  return std::move(made.key);
}

std::vector<tokens::KeySpec> numbered(const tokens::KeySpec& spec, std::size_t count) {
  std::vector<tokens::KeySpec> specs(count, spec);
  for (std::size_t i = 0; i < count; ++i) {
    specs[i].label = fmt::format("{}-{}", spec.label, i + 1);
    tokens::check_new_label(specs[i].label);
  }
  return specs;
}

// Each key is a change of its own: those that are made stay when a later one fails, which ends it.
std::vector<tokens::Key> make_all(const tokens::OpenToken& token,
                                  std::span<const tokens::KeySpec> specs, tokens::Occupied& there,
                                  Context& context, Outcome& outcome) {
  std::vector<tokens::Key> made;
  Progress progress(context, "keys", specs.size());
  try {
    for (const tokens::KeySpec& spec : specs) {
      made.push_back(undertake_generation(
          token, facts_of(spec, std::nullopt), context,
          [&](const auto& made_it) { return tokens::generate_next(token, spec, there, made_it); }));
      progress.show(made.size());
    }
    tokens::check_all_there(token, made);
  } catch (const Error& error) {
    outcome.failures.push_back(error.during(
        fmt::format("key generate: {} of {} keys are made", made.size(), specs.size())));
  }
  return made;
}

Outcome run_many(std::span<const tokens::KeySpec> specs, const Options& options, Context& context) {
  const tokens::Reach way = reach(context);
  const tokens::OpenToken token = open_as(options.login_as, context, way);
  const auto lock = tokens::lock_token(way, token.info);
  tokens::check_place(token, specs.front());
  tokens::Occupied there = tokens::what_is_on(token);
  std::vector<Change> changes;
  for (const tokens::KeySpec& spec : specs) {
    tokens::check_free(token, there, spec.label);
    changes.push_back(changes_of(token, spec, std::nullopt, false).front());
  }
  warn_of_ed25519(specs.front(), context);
  if (context.options.plan) return planned(changes);
  Outcome outcome;
  outcome.data["keys"] = Json::array();
  for (const tokens::Key& key : make_all(token, specs, there, context, outcome)) {
    outcome.data["keys"].push_back(made_key_json(token, key));
    outcome.text += key.uri + '\n';
  }
  return outcome;
}

Outcome run(const Options& options, Context& context) {
  const tokens::KeySpec spec = spec_of(options);
  const bool for_backup = !options.backup_under.empty();
  if (!options.replace.empty() && (for_backup || options.use == kWrap)) {
    throw Error(Kind::usage,
                "key generate: --replace does not go with --backup-under or --use wrap")
        .hint("make the new key under a label of its own, then delete the old one");
  }
  if (options.use == kWrap) {
    if (for_backup) throw Error(Kind::usage, "key generate: a wrapping key is not backed up");
    if (options.count != 0) throw Error(Kind::usage, "key generate: wrapping keys are made singly");
    return make_wrapping_key(spec, options.login_as, options.wrapping, context);
  }
  if (options.count != 0) return run_many(numbered(spec, options.count), options, context);
  const tokens::Reach way = reach(context);
  const tokens::OpenToken token = open_as(options.login_as, context, way);
  const auto lock = tokens::lock_token(way, token.info);
  tokens::check_place(token, spec);
  std::optional<tokens::KeyObjects> old;
  if (!options.replace.empty()) {
    old = replaced_objects(token, spec, context);
  } else {
    tokens::check_free(
        token, spec.label, spec.id,
        "; to destroy it and make the new key in its place: --replace " + hex(spec.id));
  }
  warn_of_ed25519(spec, context);
  if (for_backup) {
    const tokens::Key wrapping_key =
        tokens::find_wrapping_key(token, tokens::parse_selector(options.backup_under));
    tokens::prove_backup_protection(token, wrapping_key, spec);
  }
  const std::vector<Change> changes = changes_of(token, spec, old, for_backup);
  if (context.options.plan) return planned(changes);
  if (old) confirm(context, changes);
  const tokens::Key key =
      undertake_generation(token, facts_of(spec, old), context, [&](const auto& made_it) {
        if (for_backup) return tokens::generate_for_backup(token, spec, made_it);
        return old ? tokens::replace(token, spec, *old, made_it)
                   : tokens::generate(token, spec, made_it);
      });
  Outcome outcome;
  outcome.data = made_key_json(token, key);
  outcome.text = fmt::format("{}\n", key.uri);
  return outcome;
}

}  // namespace

void add_key_generate(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("NAME", options->name, "Label of the new key; must be free").required();
  command
      .add_option("--type", options->type,
                  "rsa:2048 rsa:3072 rsa:4096 ec:p256 ec:p384 ec:p521 ed25519 aes:256")
      .required();
  command.add_option("--use", options->use,
                     "sign, decrypt, derive, or several with commas (default sign); wrap for aes");
  const Argument id =
      command.add_option("--id", options->id, "CKA_ID in hex (default: SHA-1 of the public key)");
  command.add_option("--login-as", options->login_as, "Who makes it: user, or so (default user)")
      .one_of({"user", "so"});
  const Argument replaced =
      command.add_option("--replace", options->replace,
                         "Id of a key that makes room for the new one, and is destroyed");
  const Argument backup_under = command.add_option(
      "--backup-under", options->backup_under,
      "Wrapping key under which the new key may leave the token, and in no other way");
  command
      .add_option("--count", options->count, "Make so many keys with one login: NAME-1, NAME-2, …")
      .within(1, 100'000)
      .excludes(id)
      .excludes(replaced)
      .excludes(backup_under);
  command
      .add_option("--to", options->wrapping.to,
                  "Public key of another token that shall have the wrapping key too; may be "
                  "repeated")
      .one_each();
  command.add_option("-o,--output", options->wrapping.output,
                     "File that takes the wrapping key there, encrypted");
  command.add_option("--from", options->wrapping.from,
                     "That file, on the other token: the wrapping key comes from it");
  command.add_option("--key", options->wrapping.key, "The decryption key that it was made for");
  command
      .add_option(
          "--approve", options->wrapping.approvals,
          "16 hex digits: of each --to, the SHA-256 of the public key begins so; of --from, "
          "the check value")
      .one_each();
  command.footer(
      "Examples:\n  hsmith key generate web --type rsa:2048 --use sign --count 20\n"
      "  hsmith key generate backups --type aes:256 --use wrap --login-as so");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
