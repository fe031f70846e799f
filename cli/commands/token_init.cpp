// hsmith token init: a label, a security officer's PIN and a user PIN for an empty slot.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/token_output.h"
#include "pkcs11/error.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "tokens/pin_marker.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"

namespace hsmith::cli {
namespace {

using tokens::PinRole;

struct Options {
  std::string label;
  std::string serial;
  std::optional<std::string> erase;  // a label may be empty
  std::optional<std::string> new_pin_source;
};

struct Target {
  CK_SLOT_ID slot;
  pkcs11::TokenInfo info;
};

// The one slot that is meant: by --slot, or by the serial number of what is in it.
Target find_target(const pkcs11::Module& module, const Options& options, const Context& context) {
  std::vector<Target> hits;
  std::vector<std::string> present;
  const std::string doing = "find the token to initialise in the module " + quoted(module.path());
  for (const CK_SLOT_ID slot : tokens::while_doing(doing, [&] { return module.slots(CK_TRUE); })) {
    const pkcs11::TokenInfo info =
        tokens::while_doing(doing, [&] { return module.token_info(slot); });
    present.push_back(
        fmt::format("slot {}: {}", slot,
                    info.has(CKF_TOKEN_INITIALIZED) ? tokens::token_uri(info) : "not initialised"));
    const bool hit =
        context.options.slot ? slot == *context.options.slot : info.serial == options.serial;
    if (hit) hits.push_back({slot, info});
  }
  if (hits.size() == 1) return hits.front();
  std::string cause =
      fmt::format("{} slots have a token with the serial number {}",
                  hits.empty() ? "no" : std::to_string(hits.size()), quoted(options.serial));
  if (context.options.slot) cause = fmt::format("there is no slot {}", *context.options.slot);
  throw Error(hits.empty() ? Kind::not_found : Kind::ambiguous,
              "find the token to initialise: " + cause)
      .hint("see slots with: hsmith token list")
      .candidates(std::move(present));
}

void check_erase(const Target& target, const Options& options) {
  const bool initialised = target.info.has(CKF_TOKEN_INITIALIZED);
  if (!initialised && !options.erase) return;
  if (initialised && options.erase == target.info.label) return;
  if (!initialised) {
    throw Error(Kind::mismatch, fmt::format("erase the token {}: the slot is not initialised",
                                            quoted(*options.erase)));
  }
  throw Error(options.erase ? Kind::mismatch : Kind::exists,
              fmt::format("initialise slot {}: it holds the token {}{}", target.slot,
                          quoted(target.info.label),
                          options.erase ? ", not " + quoted(*options.erase) : ""))
      .hint("to wipe it with all its keys, add --erase and its present label");
}

// Before anything is wiped: a token that would be of no use afterwards stays as it is.
void check_not_spoilt(const Target& target) {
  const tokens::TokenQuirks& quirks = tokens::token_quirks(target.info);
  const bool has_first_so_pin =
      !target.info.has(CKF_TOKEN_INITIALIZED) || target.info.has(CKF_SO_PIN_TO_BE_CHANGED);
  if (quirks.spoilt_by_init.empty()) return;
  if (quirks.spoilt_once_so_pin_changed && has_first_so_pin) return;
  throw Error(Kind::unsupported, fmt::format("initialise slot {}: its token {} {}", target.slot,
                                             quoted(target.info.label), quirks.spoilt_by_init))
      .hint(fmt::format("it is wiped and made new by: {}", quirks.made_new_by));
}

Secret read(const tokens::PinSource& source, PinRole role, Context& context) {
  auto pin = tokens::read_pin(source,
                              {.role = role,
                               .prompt_for = "the new token",
                               .warn = [&](const std::string& text) { context.warn(text); }},
                              context.environment);
  if (!pin)
    throw Error(Kind::unsupported,
                "initialise a token: its PINs cannot be typed at its own pad here");
  return std::move(*pin);
}

struct Pins {
  tokens::PinSource so_source;
  Secret so;
  Secret user;
};

Pins read_pins(const Options& options, Context& context) {
  tokens::PinSource so_source = tokens::choose_pin_source(pin_options(context, PinRole::so));
  tokens::PinOptions user = pin_options(context, PinRole::user);
  if (options.new_pin_source) {
    user.option = options.new_pin_source;
    user.role = PinRole::new_user;
  }
  // A new token's PINs are new: at a prompt they are asked for twice.
  Secret so = read(so_source, options.erase ? PinRole::so : PinRole::new_so, context);
  Secret pin = read(tokens::choose_pin_source(user), PinRole::new_user, context);
  return {std::move(so_source), std::move(so), std::move(pin)};
}

// To erase a token its present SO PIN is sent: the rules of a login hold for it.
void check_so_pin(const Target& target, const tokens::Reach& way, const std::optional<Pins>& pins) {
  tokens::check_login_flags(target.info, tokens::Login::so, way.use_last_try);
  if (!pins) return;
  if (way.retry_pin) tokens::forget_failed_pin(way.state_folder, target.info.serial, PinRole::so);
  if (tokens::is_interactive(pins->so_source)) return;
  tokens::refuse_after_failed_pin(way.state_folder, target.info.serial, PinRole::so);
  tokens::check_failed_pin_can_be_noted(way.state_folder, target.info.serial, PinRole::so);
}

void set_user_pin(const std::shared_ptr<pkcs11::Module>& module, CK_SLOT_ID slot,
                  const Pins& pins) {
  const auto session = pkcs11::Session::open(module, slot, pkcs11::Access::read_write);
  pkcs11::check(session->login(CKU_SO, pins.so.reveal()), "C_Login");
  session->init_pin(pins.user.reveal());
  session->close();
}

// The token as it is afterwards, logged in to with the new PIN.
pkcs11::TokenInfo prove_user_pin(const std::shared_ptr<pkcs11::Module>& module, CK_SLOT_ID slot,
                                 const Pins& pins) {
  const auto session = pkcs11::Session::open(module, slot, pkcs11::Access::read_write);
  pkcs11::check(session->login(CKU_USER, pins.user.reveal()), "C_Login");
  session->close();
  return module->token_info(slot);
}

// True unless the token is seen to be what it was before; what a wrong PIN does to its flags is no
// sign of a new one.
bool may_be_initialised(const pkcs11::Module& module, const Target& target, const Options& options,
                        const Error& error) {
  constexpr CK_FLAGS kTries = CKF_SO_PIN_COUNT_LOW | CKF_SO_PIN_FINAL_TRY | CKF_SO_PIN_LOCKED;
  const bool refused = error.kind() == Kind::pin_incorrect || error.kind() == Kind::pin_locked;
  try {
    const pkcs11::TokenInfo now = module.token_info(target.slot);
    const bool same =
        now.label == target.info.label && (now.flags & ~kTries) == (target.info.flags & ~kTries);
    return !same || (now.label == options.label && !refused);
  } catch (const Error&) {
    return true;
  }
}

pkcs11::TokenInfo initialise(const std::shared_ptr<pkcs11::Module>& module, const Target& target,
                             const Options& options, const Pins& pins, const tokens::Reach& way) {
  const std::string doing =
      fmt::format("initialise the token {} in slot {}", quoted(options.label), target.slot);
  try {
    module->init_token(target.slot, pins.so.reveal(), options.label);
  } catch (const Error& error) {
    std::string not_noted;
    if (error.kind() == Kind::pin_incorrect && !tokens::is_interactive(pins.so_source))
      not_noted = tokens::note_failed_pin(way.state_folder, target.info.serial, PinRole::so);
    if (!may_be_initialised(*module, target, options, error))
      throw error.during(doing).hint(not_noted.empty() ? error.hint() : not_noted);
    throw error.during(doing + ": it is not known whether it is made")
        .hint("see it with: hsmith token list" + (not_noted.empty() ? "" : "; " + not_noted))
        .unfinished();
  }
  try {
    set_user_pin(module, target.slot, pins);
  } catch (const Error& error) {
    throw error.during(doing + ": the token is made, its user PIN is not set")
        .hint("set it with: hsmith token pin unblock --token " + shell_word(options.label))
        .unfinished();
  }
  try {
    return prove_user_pin(module, target.slot, pins);
  } catch (const Error& error) {
    throw error
        .during(doing + ": the token is made and its user PIN set, but a login with it failed")
        .hint("see its state with: hsmith token list")
        .unfinished();
  }
}

Outcome run(const Options& options, Context& context) {
  if (options.serial.empty() == !context.options.slot.has_value()) {
    throw Error(Kind::usage, "token init: name the slot with either --slot or --serial")
        .hint("see slots with: hsmith token list");
  }
  if (options.label.empty() || options.label.size() > 32 || !is_utf8(options.label)) {
    throw Error(Kind::usage, fmt::format("--label {}: a token's label is 1 to 32 bytes of UTF-8",
                                         quoted(options.label)));
  }
  const tokens::Reach way = reach(context);
  std::optional<Pins> pins;
  if (!context.options.plan) pins = read_pins(options, context);
  const auto lock = tokens::lock_module(way.module_path, way.lock_folder);
  const auto module = tokens::start_module(way);
  const Target target = find_target(*module, options, context);
  check_erase(target, options);
  check_not_spoilt(target);
  if (options.erase) check_so_pin(target, way, pins);
  std::vector<Change> changes;
  if (options.erase) {
    changes.push_back(
        {Change::Kind::destroy, tokens::token_uri(target.info) + " with all its objects"});
  }
  changes.push_back({Change::Kind::create,
                     fmt::format("token {} in slot {}", quoted(options.label), target.slot)});
  if (context.options.plan) return planned(changes);
  if (options.erase) confirm(context, changes);
  const Json facts{{"label", options.label}, {"slot", target.slot}};
  const pkcs11::TokenInfo made = undertake(context, target.info, facts, [&](Undertaking&) {
    return initialise(module, target, options, *pins, way);
  });
  if (made.label != options.label || !made.has(CKF_USER_PIN_INITIALIZED)) {
    throw Error(Kind::token_failed,
                fmt::format("initialise the token {}: it says afterwards that its label is {}",
                            quoted(options.label), quoted(made.label)));
  }
  if (made.has(CKF_SO_PIN_TO_BE_CHANGED)) {
    context.warn(
        "the token wants another SO PIN before its security officer makes keys: hsmith token "
        "pin change --token " +
        shell_word(made.label) + " --new-so-pin-source prompt");
  }
  Outcome outcome;
  outcome.data = token_json(made);
  outcome.text = tokens::token_uri(made) + "\n";
  return outcome;
}

}  // namespace

void add_token_init(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--label", options->label, "Label of the new token").required();
  command.add_option("--serial", options->serial,
                     "Serial number of the token in the slot; exactly one of --slot and --serial");
  command.add_option("--erase", options->erase, "Present label of a token that shall be wiped");
  command.add_option("--new-pin-source", options->new_pin_source,
                     "The user PIN to set (default: the user's PIN source)");
  command.footer(
      "Examples:\n  hsmith token init --slot 0 --label prod --so-pin-source prompt "
      "--new-pin-source prompt\n"
      "  hsmith token init --serial 7a3f2c --label prod --erase old --plan");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
