#include "cli/recovery_to_token.h"

#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/key_import.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
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

void check_kept_key(const tokens::OpenToken& token, const tokens::Key& key, EVP_PKEY* half) {
  if (key.extractable == true || key.sensitive == false) {
    throw Error(Kind::refused, fmt::format("put the recovered key on the token: it is there as {}, "
                                           "and could be read out",
                                           key.uri))
        .hint("delete that one: hsmith key delete " + shell_word(key.uri));
  }
  if (!tokens::holds_private_half(token, key, half)) {
    throw Error(Kind::token_failed,
                fmt::format("put the recovered key on the token: {} does not work", key.uri));
  }
}

// The key that is on the token already: proved, and given its certificate.
tokens::Key complete(Context& context, const tokens::OpenToken& token, const tokens::Key& key,
                     X509* user) {
  check_kept_key(token, key, x509::public_key_of(user));
  const Json facts{{"label", json_text(key.label)},
                   {"id", hex(key.id)},
                   {"certificate", hex(x509::certificate_der(user))}};
  undertake(context, token.info, facts, [&](Undertaking&) {
    return tokens::install(token, tokens::take_inventory(token), key, user);
  });
  return key;
}

tokens::Key put(Context& context, const tokens::OpenToken& token, const Opened& opened,
                const std::string& label) {
  X509* user = opened.input->blob.user.get();
  const tokens::Inventory inventory = tokens::take_inventory(token);
  const auto there = tokens::keys_with(inventory, x509::public_key_of(user));
  if (!there.empty()) return complete(context, token, *there.front(), user);
  ImportedKey input;
  input.key = ossl::share(opened.key.get());
  input.certificates.push_back(ossl::share(user));
  const tokens::KeySpec spec = import_spec(input, label, use_of(user), quoted(opened.input->file));
  tokens::check_free(token, spec.label, spec.id);
  return import_with_certificates(context, token, spec, input);
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
  tokens::PinOptions options;
  options.uri = &target.selector.uri;
  options.option = pin_source;
  options.may_prompt = !context.options.json && !context.options.batch;
  auto pin = tokens::read_pin(tokens::choose_pin_source(options),
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
    const bool is_there = or_failed(failures, [&] {
      key = put(context, token, one, label_of(target, one.input->blob.user.get()));
    });
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
