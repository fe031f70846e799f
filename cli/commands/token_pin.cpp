// hsmith token pin change|unblock: a new user PIN, by the user or by the security officer, and the
// security officer's own.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/token_output.h"
#include "pkcs11/error.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/pin_marker.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"

namespace hsmith::cli {
namespace {

using tokens::Login;
using tokens::PinRole;

struct Options {
  std::optional<std::string> new_pin_source;
  std::optional<std::string> new_so_pin_source;
};

// Which PIN is set, and who sets it.
struct Setting {
  PinRole pin = PinRole::user;  // user or so
  Login by = Login::user;

  bool of_officer() const { return pin == PinRole::so; }
  const char* noun() const { return of_officer() ? "SO PIN" : "user PIN"; }
};

Secret new_pin(const Setting& setting, const Options& options, Context& context) {
  tokens::PinOptions source;
  source.role = setting.of_officer() ? PinRole::new_so : PinRole::new_user;
  source.option = setting.of_officer() ? options.new_so_pin_source : options.new_pin_source;
  source.may_prompt = !context.options.json && !context.options.batch;
  auto pin = tokens::read_pin(tokens::choose_pin_source(source),
                              {.role = source.role,
                               .prompt_for = "the token",
                               .warn = [&](const std::string& text) { context.warn(text); }},
                              context.environment);
  if (!pin)
    throw Error(Kind::unsupported,
                "set a new PIN: typing it at the token's own pad is not possible here");
  return std::move(*pin);
}

Outcome done(const tokens::OpenToken& token, const Setting& setting) {
  const pkcs11::TokenInfo now = token.module->token_info(token.slot);
  Outcome outcome;
  outcome.data = token_json(now);
  outcome.text = fmt::format("{}: the {} is changed\n", tokens::token_uri(now), setting.noun());
  return outcome;
}

// The new PIN must open the token before the command says so.
void prove(const tokens::OpenToken& token, const Setting& setting, const Secret& pin) {
  token.session->logout();
  const CK_USER_TYPE user = setting.of_officer() ? CKU_SO : CKU_USER;
  pkcs11::check(token.session->login(user, pin.reveal()), "C_Login");
}

// A token that fails or goes away may have kept the new PIN before. To find out would be to send a
// PIN that may be wrong.
bool may_be_done(const Error& error) {
  return error.kind() == Kind::token_failed || error.kind() == Kind::token_removed ||
         error.kind() == Kind::token_full || error.kind() == Kind::token_damaged;
}

// The next that can be tried when the PIN was not set, or may not have been; "" when nothing can.
std::string next_way(const tokens::OpenToken& token, const Setting& setting) {
  const bool own_way = !tokens::token_quirks(token.info).unblocks_pin.empty();
  if (setting.of_officer() || (setting.by == Login::so && !own_way)) return "";
  return tokens::unblock_command(token.info);
}

Error not_set(const tokens::OpenToken& token, const Setting& setting, const std::string& doing,
              const Error& error) {
  const std::string next = next_way(token, setting);
  if (may_be_done(error)) {
    return error.during(doing + ": it is not known whether the old or the new one holds")
        .hint("try them" + (next.empty() ? "" : "; if neither holds: " + next))
        .unfinished();
  }
  Error refused = error.during(doing);
  if (error.kind() == Kind::unsupported && !next.empty())
    return std::move(refused).hint("set it with: " + next);
  return refused;
}

void replace_pin(const tokens::OpenToken& token, const Setting& setting, const Secret& pin) {
  const std::string doing =
      fmt::format("set the {} of the token {}", setting.noun(), quoted(token.info.label));
  try {
    if (setting.by == Login::so && !setting.of_officer()) {
      token.session->init_pin(pin.reveal());
    } else {
      token.change_pin(pin);
    }
  } catch (const Error& error) {
    throw not_set(token, setting, doing, error);
  }
  try {
    prove(token, setting, pin);
  } catch (const Error& error) {
    throw error.during(doing + ": it is set, but a login with it failed").unfinished();
  }
}

Outcome set(const Setting& setting, const Options& options, Context& context) {
  const bool unblocks = setting.by == Login::so && !setting.of_officer();
  const tokens::Reach way = unblocks ? reach_to_destroy(context) : reach(context);
  const tokens::PinOptions source =
      pin_options(context, setting.by == Login::so ? PinRole::so : PinRole::user);
  // Read before a module is loaded: a source may be a command. The old one's source is checked
  // first, so that nobody types a new PIN in vain.
  tokens::choose_pin_source(source);
  std::optional<Secret> pin;
  if (!context.options.plan) pin = new_pin(setting, options, context);
  const tokens::OpenToken token =
      tokens::open_token(way, pkcs11::Access::read_write, setting.by, source);
  const auto lock = tokens::lock_token(way, token.info);
  const std::vector<Change> changes{
      {Change::Kind::change,
       fmt::format("{} of {}", setting.noun(), tokens::token_uri(token.info))}};
  if (context.options.plan) return planned(changes);
  if (unblocks) confirm(context, changes);
  undertake(context, token.info, Json{{"pin", setting.of_officer() ? "so" : "user"}},
            [&](Undertaking&) {
              replace_pin(token, setting, *pin);
              return true;
            });
  return tokens::while_doing(
      fmt::format("set the {} of the token {}: it is done, but not all after it", setting.noun(),
                  quoted(token.info.label)),
      [&] {
        tokens::forget_failed_pin(way.state_folder, token.info.serial, setting.pin);
        return done(token, setting);
      });
}

void add_change(Arguments& pin, Context& context) {
  auto options = std::make_shared<Options>();
  Arguments verb = pin.add_verb("change", "Set a new user PIN, by the user, or a new SO PIN");
  Argument user = verb.add_option("--new-pin-source", options->new_pin_source,
                                  "Where the new PIN comes from (default: prompt)");
  verb.add_option("--new-so-pin-source", options->new_so_pin_source,
                  "Set the security officer's own PIN instead, to this one")
      .excludes(user);
  verb.footer(
      "Examples:\n  hsmith token pin change --token prod --pin-source file:old.txt "
      "--new-pin-source file:new.txt\n"
      "  hsmith token pin change --token prod --so-pin-source prompt --new-so-pin-source prompt");
  verb.callback([options, &context] {
    context.command += " change";
    const Setting setting = options->new_so_pin_source ? Setting{PinRole::so, Login::so}
                                                       : Setting{PinRole::user, Login::user};
    context.run = [options, setting, &context] { return set(setting, *options, context); };
  });
}

void add_unblock(Arguments& pin, Context& context) {
  auto options = std::make_shared<Options>();
  Arguments verb = pin.add_verb("unblock", "Set a new user PIN, by the security officer");
  verb.add_option("--new-pin-source", options->new_pin_source,
                  "Where the new PIN comes from (default: prompt)");
  verb.footer(
      "Examples:\n  hsmith token pin unblock --token prod\n"
      "  hsmith token pin unblock --token prod --so-pin-source prompt --new-pin-source "
      "file:new.txt --yes");
  verb.callback([options, &context] {
    context.command += " unblock";
    context.run = [options, &context] {
      return set({PinRole::user, Login::so}, *options, context);
    };
  });
}

}  // namespace

void add_token_pin(Arguments& command, Context& context) {
  add_change(command, context);
  add_unblock(command, context);
  command.footer("Examples:\n  hsmith token pin change\n  hsmith token pin unblock --token prod");
}

}  // namespace hsmith::cli
