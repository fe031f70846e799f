// hsmith token pin change|unblock: a new user PIN, by the user or by the security officer.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/token_output.h"
#include "pkcs11/error.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/pin_marker.h"
#include "tokens/reading.h"

namespace hsmith::cli {
namespace {

using tokens::Login;
using tokens::PinRole;

struct Options {
  std::optional<std::string> new_pin_source;
};

Secret new_pin(const Options& options, Context& context) {
  tokens::PinOptions source;
  source.role = PinRole::new_user;
  source.option = options.new_pin_source;
  source.may_prompt = !context.options.json && !context.options.batch;
  auto pin = tokens::read_pin(tokens::choose_pin_source(source),
                              {.role = PinRole::new_user,
                               .prompt_for = "the token",
                               .warn = [&](const std::string& text) { context.warn(text); }},
                              context.environment);
  if (!pin)
    throw Error(Kind::unsupported,
                "set a new PIN: typing it at the token's own pad is not possible here");
  return std::move(*pin);
}

Outcome done(const tokens::OpenToken& token, const char* what) {
  const pkcs11::TokenInfo now = token.module->token_info(token.slot);
  Outcome outcome;
  outcome.data = token_json(now);
  outcome.text = fmt::format("{}: {}\n", tokens::token_uri(now), what);
  return outcome;
}

// The new PIN must open the token before the command says so.
void prove(const tokens::OpenToken& token, const Secret& pin) {
  token.session->logout();
  pkcs11::check(token.session->login(CKU_USER, pin.reveal()), "C_Login");
}

// A token that fails or goes away may have kept the new PIN before. To find out would be to send a
// PIN that may be wrong.
bool may_be_done(const Error& error) {
  return error.kind() == Kind::token_failed || error.kind() == Kind::token_removed ||
         error.kind() == Kind::token_full || error.kind() == Kind::token_damaged;
}

void replace_pin(const tokens::OpenToken& token, Login by, const Secret& pin) {
  const std::string doing =
      fmt::format("set the user PIN of the token {}", quoted(token.info.label));
  try {
    if (by == Login::so) {
      token.session->init_pin(pin.reveal());
    } else {
      token.change_pin(pin);
    }
  } catch (const Error& error) {
    if (!may_be_done(error)) throw error.during(doing);
    throw error.during(doing + ": it is not known whether the old or the new one holds")
        .hint("try them; if neither holds: hsmith token pin unblock")
        .unfinished();
  }
  try {
    prove(token, pin);
  } catch (const Error& error) {
    throw error.during(doing + ": it is set, but a login with it failed").unfinished();
  }
}

Outcome set(Login by, const Options& options, Context& context) {
  const PinRole role = by == Login::so ? PinRole::so : PinRole::user;
  const tokens::Reach way = by == Login::so ? reach_to_destroy(context) : reach(context);
  const tokens::PinOptions source = pin_options(context, role);
  // Read before a module is loaded: a source may be a command. The old one's source is checked
  // first, so that nobody types a new PIN in vain.
  tokens::choose_pin_source(source);
  std::optional<Secret> pin;
  if (!context.options.plan) pin = new_pin(options, context);
  const tokens::OpenToken token = tokens::open_token(way, pkcs11::Access::read_write, by, source);
  const auto lock = tokens::lock_token(way, token.info);
  const std::vector<Change> changes{
      {Change::Kind::change, "user PIN of " + tokens::token_uri(token.info)}};
  if (context.options.plan) return planned(changes);
  if (by == Login::so) confirm(context, changes);
  undertake(context, token.info, Json::object(), [&](Undertaking&) {
    replace_pin(token, by, *pin);
    return true;
  });
  return tokens::while_doing(
      fmt::format("set the user PIN of the token {}: it is done, but not all after it",
                  quoted(token.info.label)),
      [&] {
        tokens::forget_failed_pin(way.state_folder, token.info.serial, PinRole::user);
        return done(token, "the user PIN is changed");
      });
}

void add_verb(Arguments& pin, Context& context, const char* name, const char* about, Login by,
              const char* examples) {
  auto options = std::make_shared<Options>();
  Arguments verb = pin.add_verb(name, about);
  verb.add_option("--new-pin-source", options->new_pin_source,
                  "Where the new PIN comes from (default: prompt)");
  verb.footer(examples);
  verb.callback([options, by, name, &context] {
    context.command += std::string(" ") + name;
    context.run = [options, by, &context] { return set(by, *options, context); };
  });
}

}  // namespace

void add_token_pin(Arguments& command, Context& context) {
  add_verb(command, context, "change", "Set a new user PIN, by the user", Login::user,
           "Examples:\n  hsmith token pin change\n"
           "  hsmith token pin change --token prod --pin-source file:old.txt --new-pin-source "
           "file:new.txt");
  add_verb(command, context, "unblock", "Set a new user PIN, by the security officer", Login::so,
           "Examples:\n  hsmith token pin unblock --token prod\n"
           "  hsmith token pin unblock --token prod --so-pin-source prompt --new-pin-source "
           "file:new.txt --yes");
  command.footer("Examples:\n  hsmith token pin change\n  hsmith token pin unblock --token prod");
}

}  // namespace hsmith::cli
