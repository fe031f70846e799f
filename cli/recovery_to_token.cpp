#include "cli/recovery_to_token.h"

#include <algorithm>
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/key_import.h"
#include "cli/repair.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/journal/intents.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "tokens/certificates.h"
#include "tokens/matching.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

constexpr const char* kTargetPin = "the PIN of --to-token";

// The label in the URI; without one the user's name.
std::string label_of(const TargetToken& target, X509* user) {
  const std::string serial = x509::certificate_facts(user).serial;
  std::string label = target.selector.uri.object
                          ? *target.selector.uri.object
                          : x509::last_value(X509_get_subject_name(user), "CN");
  if (label.empty()) return serial;
  return target.several ? fmt::format("{} {}", label, serial) : label;
}

// Archived keys decrypt; where the certificate says nothing, they do that and nothing else.
std::string use_of(X509* user) {
  if (!x509::certificate_facts(user).extensions.key_usage.empty()) return "";
  return EVP_PKEY_is_a(x509::public_key_of(user), "RSA") == 1 ? "decrypt" : "derive";
}

Error cannot_stay(const tokens::Key& key, const char* why) {
  return Error(Kind::refused, fmt::format("put the recovered key on the token: it is there as {}, "
                                          "and {}",
                                          key.uri, why))
      .hint("delete that one: hsmith key delete " + shell_word(key.uri));
}

// Of the copies that are there the only one, or the one that --to-token names. Throws refused
// when any of them could be read out, ambiguous unless exactly one is named.
const tokens::Key& choose(std::vector<const tokens::Key*> there, const TargetToken& target,
                          const std::string& label) {
  for (const tokens::Key* key : there) {
    if (key->extractable == true || key->sensitive == false)
      throw cannot_stay(*key, "could be read out");
  }
  if (there.size() == 1) return *there.front();
  const tokens::Uri& uri = target.selector.uri;
  std::vector<std::string> uris;
  for (const tokens::Key* key : there) uris.push_back(key->uri);
  std::erase_if(there, [&](const tokens::Key* key) {
    return (uri.object && key->label != label) || (uri.id && key->id != *uri.id);
  });
  if (there.size() == 1) return *there.front();
  const std::string what = fmt::format(
      "put the recovered key on the token: it is there {} times, and {} of them are what "
      "--to-token names",
      uris.size(), there.size());
  throw Error(Kind::ambiguous, what)
      .hint("name one of them in --to-token with object= or id=")
      .candidates(std::move(uris));
}

// Throws refused for a key that does not open what was encrypted, token_failed where it does not
// work: shown by a decryption or a key agreement, whatever else it may do.
void check_opens(const tokens::OpenToken& token, const tokens::Key& key, EVP_PKEY* half) {
  const bool is_rsa = EVP_PKEY_is_a(half, "RSA") == 1;
  if (is_rsa ? key.decrypt == false && key.unwrap == false : key.derive == false)
    throw cannot_stay(key, "may not decrypt");
  tokens::Key opening = key;
  opening.sign = false;  // so that no signature is its proof
  if (tokens::holds_private_half(token, opening, half)) return;
  throw Error(Kind::token_failed,
              fmt::format("put the recovered key on the token: {} does not work", key.uri));
}

// The private key of this name without a public half that an interrupted run left, if it is the one
// that is recovered: shown by what it opens.
std::vector<const tokens::Key*> left_alone(const tokens::OpenToken& token,
                                           const tokens::Inventory& inventory,
                                           const std::string& label, EVP_PKEY* half) {
  std::vector<const tokens::Key*> found;
  for (const tokens::Key& key : inventory.private_keys) {
    if (key.label != label || key.public_key) continue;
    tokens::Key opening = key;
    opening.sign = false;
    try {
      if (tokens::holds_private_half(token, opening, half)) found.push_back(&key);
    } catch (const Error& error) {  // that of another user's key of this name, say
      if (error.kind() == Kind::token_removed) throw;
    }
  }
  return found;
}

// The key that is on the token already: proved, and given its certificate.
tokens::Key complete(Context& context, const tokens::OpenToken& token, const tokens::Key& key,
                     X509* user) {
  check_opens(token, key, x509::public_key_of(user));
  const Json facts{{"label", json_text(key.label)},
                   {"id", hex(key.id)},
                   {"certificate", hex(x509::certificate_der(user))}};
  undertake(context, token.info, facts, [&](Undertaking&) {
    return tokens::install(token, tokens::take_inventory(token), key, user);
  });
  return key;
}

// What an interrupted run left has no public half, and so is not found as the key.
void check_free(const Context& context, const tokens::OpenToken& token,
                const tokens::KeySpec& spec) {
  try {
    tokens::check_free(token, spec.label, spec.id);
  } catch (const Error& error) {
    if (error.kind() != Kind::exists) throw;
    const auto unfinished = journal::unfinished(context.environment.state_folder);
    const bool is_left = std::any_of(unfinished.begin(), unfinished.end(), [&](const auto& entry) {
      return entry.intent.token_serial == token.info.serial && fact(entry, "label") == spec.label;
    });
    if (!is_left) throw;
    throw Error(Kind::exists, fmt::format("{} by what an interrupted run left", error.what()))
        .hint(
            "take that away, with that token's PIN, and run this again: hsmith doctor --repair "
            "--yes");
  }
}

tokens::Key put(Context& context, const tokens::OpenToken& token, const Opened& opened,
                const TargetToken& target) {
  X509* user = opened.input->blob.user.get();
  const tokens::Inventory inventory = tokens::take_inventory(token);
  const std::string label = label_of(target, user);
  auto there = tokens::keys_with(token, inventory, x509::public_key_of(user));
  if (there.empty()) there = left_alone(token, inventory, label, x509::public_key_of(user));
  if (!there.empty()) return complete(context, token, choose(there, target, label), user);
  ImportedKey input;
  input.key = ossl::share(opened.key.get());
  input.certificates.push_back(ossl::share(user));
  tokens::KeySpec spec = import_spec(input, label, use_of(user), quoted(opened.input->file));
  if (target.selector.uri.id) spec.id = *target.selector.uri.id;
  check_free(context, token, spec);
  return import_with_certificates(context, token, spec, input);
}

// The PIN's source: the option, what the URI has, the terminal; HSMITH_PIN is the agent's.
tokens::PinSource target_pin_source(const Context& context, const TargetToken& target,
                                    const std::optional<std::string>& option) {
  if (option) return tokens::parse_pin_source(*option, "--to-pin-source");
  tokens::PinOptions options;
  options.uri = &target.selector.uri;
  options.may_prompt = !context.options.json && !context.options.batch;
  try {
    return tokens::choose_pin_source(options);
  } catch (const Error& error) {
    if (error.kind() != Kind::pin_missing) throw;
    throw Error(Kind::pin_missing, fmt::format("find {}: no source was given, and there is nobody "
                                               "to ask",
                                               kTargetPin))
        .hint("give --to-pin-source file:PATH, env:NAME or cmd:COMMAND, or run it at a terminal");
  }
}

}  // namespace

TargetToken target_token(Context& context, const std::string& uri,
                         const std::optional<std::string>& pin_source) {
  if (!uri.starts_with("pkcs11:"))
    throw Error(Kind::usage, fmt::format("--to-token {}: it is no PKCS#11 URI", quoted(uri)))
        .hint("name the token by its URI: hsmith token list");
  TargetToken target;
  target.selector = tokens::parse_selector(uri);
  target.text = tokens::choice_of(target.selector.uri).text;
  if (target.text.empty())
    throw Error(Kind::usage, fmt::format("--to-token {}: it names no token", quoted(uri)));
  const auto type = target.selector.uri.type;
  if (type && *type != tokens::ObjectType::private_key)
    throw Error(Kind::usage, fmt::format("--to-token {}: it names no private key", quoted(uri)));
  auto pin = tokens::read_pin(target_pin_source(context, target, pin_source),
                              {.prompt_for = "the token of --to-token",
                               .warn = [&context](const std::string& text) { context.warn(text); }},
                              context.environment);
  if (!pin) {
    target.pin.option = "pinpad";
    return target;
  }
  // Where sources of one's own making are looked up, too.
  context.environment.secrets[kTargetPin] = std::move(*pin);
  target.pin.option = fmt::format("env:{}", kTargetPin);
  return target;
}

namespace {

// --token and --slot name the agent's.
tokens::Reach way_to(Context& context, const TargetToken& target) {
  const auto token = std::exchange(context.options.token, std::nullopt);
  const auto slot = std::exchange(context.options.slot, std::nullopt);
  tokens::Reach way = reach(context, &target.selector);
  context.options.token = token;
  context.options.slot = slot;
  return way;
}

}  // namespace

Outcome put_on_token(Context& context, const TargetToken& target, const std::vector<Opened>& opened,
                     Failures& failures) {
  Outcome outcome;
  outcome.data["token"] = target.text;
  outcome.data["keys"] = Json::array();
  if (opened.empty()) return outcome;
  const tokens::Reach way = way_to(context, target);
  const tokens::OpenToken token =
      tokens::open_token(way, pkcs11::Access::read_write, tokens::Login::user, target.pin);
  const auto lock = tokens::lock_token(way, token.info);
  outcome.data["token"] = tokens::token_uri(token.info);
  for (const Opened& one : opened) {
    const auto facts = x509::certificate_facts(one.input->blob.user.get());
    tokens::Key key;
    const bool is_there = or_failed(failures, [&] { key = put(context, token, one, target); });
    if (!is_there) continue;
    outcome.data["keys"].push_back({{"uri", key.uri},
                                    {"subject", json_text(facts.subject)},
                                    {"serial", facts.serial},
                                    {"sha256", facts.sha256}});
    outcome.text +=
        fmt::format("{}: the key of {}, serial {}\n", key.uri, facts.subject, facts.serial);
  }
  return outcome;
}

}  // namespace hsmith::cli
