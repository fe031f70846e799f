#include "cli/context.h"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/changes.h"
#include "pkcs11/names.h"
#include "src/base/error.h"
#include "src/base/lock.h"
#include "src/base/text.h"
#include "tokens/survey.h"

namespace hsmith::cli {
namespace {

std::optional<std::string> module_text(const Context& context) {
  if (context.options.module) return context.options.module;
  if (const auto ours = variable("HSMITH_MODULE")) return ours;
  if (const auto common = variable("PKCS11_MODULE_PATH")) return common;
  return context.config.module;
}

std::string module_init(const Context& context, const tokens::ConfiguredModule& module) {
  if (context.options.module_init) return *context.options.module_init;
  return variable("HSMITH_MODULE_INIT").value_or(context.config.module_init.value_or(module.init));
}

const char* verb_of(Change::Kind kind) {
  switch (kind) {
    case Change::Kind::create:
      return "create";
    case Change::Kind::change:
      return "change";
    default:
      return "destroy";
  }
}

std::string lines_of(const std::vector<Change>& changes) {
  std::string text;
  for (const Change& change : changes)
    text += fmt::format("{}: {}\n", verb_of(change.kind), change.what);
  return text;
}

// Asks on the controlling terminal; false when there is none.
bool ask(const std::string& question) {
  const Descriptor terminal(open("/dev/tty", O_RDWR | O_CLOEXEC));
  if (terminal.get() < 0) return false;
  if (write(terminal.get(), question.data(), question.size()) < 0) return false;
  char answer[8] = {};
  const ssize_t got = read(terminal.get(), answer, sizeof answer - 1);
  return got > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

}  // namespace

void print_error_line(const std::string& text) {
  const std::string line = "hsmith: " + text + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void Context::warn(const std::string& text) {
  if (std::find(warnings.begin(), warnings.end(), text) != warnings.end()) return;
  warnings.push_back(text);
  if (!options.quiet) print_error_line("warning: " + text);
}

void Context::tell(const std::string& text) const {
  if (options.verbose) print_error_line(text);
}

std::vector<tokens::ConfiguredModule> modules_in_reach(const Context& context) {
  const auto named = module_text(context);
  if (!named) return tokens::configured_modules();
  tokens::ConfiguredModule module = tokens::resolve_module(*named);
  module.init = module_init(context, module);
  return {module};
}

tokens::TokenChoice chosen_token(const Context& context, const tokens::Selector* selector) {
  const tokens::TokenChoice from_uri =
      selector != nullptr ? tokens::choice_of(selector->uri) : tokens::TokenChoice{};
  tokens::TokenChoice choice;
  if (context.options.token) {
    choice = tokens::parse_token_choice(*context.options.token);
    if (!from_uri.text.empty() && from_uri.label && choice.label &&
        from_uri.label != choice.label) {
      throw Error(Kind::usage, fmt::format("choose the token: --token {} and the URI's {} differ",
                                           quoted(choice.text), quoted(from_uri.text)));
    }
  } else if (!from_uri.text.empty()) {
    choice = from_uri;
  } else if (!context.options.slot) {
    const auto text = variable("HSMITH_TOKEN");
    if (text) choice = tokens::parse_token_choice(*text);
    if (!text && context.config.token) choice = tokens::parse_token_choice(*context.config.token);
  }
  if (context.options.slot) {
    choice.slot = *context.options.slot;
    if (choice.text.empty()) choice.text = fmt::format("in slot {}", *choice.slot);
  }
  return choice;
}

tokens::Reach reach(Context& context, const tokens::Selector* selector) {
  tokens::Reach way;
  way.token = chosen_token(context, selector);
  way.state_folder = context.environment.state_folder;
  way.lock_folder = lock_folder(context.config.lock_folder, context.environment);
  way.use_last_try = context.options.use_last_try;
  way.retry_pin = context.options.retry_pin;
  way.warn = [&context](const std::string& text) { context.warn(text); };
  way.before_login = [&context](const pkcs11::TokenInfo& token, CK_USER_TYPE user) {
    record(context,
           {{"event", "login"},
            {"user", pkcs11::user_name(user)},
            {"token", json_text(token.label)},
            {"serial", json_text(token.serial)}},
           audit::Flush::yes);
  };
  way.environment = &context.environment;
  if (context.options.trace) way.trace = std::make_shared<pkcs11::Trace>(*context.options.trace);
  std::vector<tokens::ConfiguredModule> modules = modules_in_reach(context);
  if (modules.size() != 1) modules = {tokens::module_with_token(way.token, way.lock_folder)};
  way.module_path = modules.front().path;
  way.module_init = module_init(context, modules.front());
  return way;
}

tokens::Reach reach_to_destroy(Context& context, const tokens::Selector* selector) {
  const bool named = context.options.token || context.options.slot ||
                     (selector != nullptr && !tokens::choice_of(selector->uri).text.empty());
  if (!named) {
    throw Error(
        Kind::usage,
        fmt::format("{}: what destroys wants the token named on the command line", context.command))
        .hint("add --token LABEL, or name the object by its full URI");
  }
  return reach(context, selector);
}

namespace {

// What --token is, when it is a URI. It is kept, as PinOptions borrow it.
const tokens::Uri* uri_of_token(const Context& context) {
  static std::optional<tokens::Uri> kept;
  const auto& token = context.options.token;
  if (!token || !tokens::is_uri(*token)) return nullptr;
  kept = tokens::parse_uri(*token);
  return &*kept;
}

}  // namespace

tokens::PinOptions pin_options(const Context& context, tokens::PinRole role,
                               const tokens::Selector* selector) {
  const bool so = role == tokens::PinRole::so;
  const tokens::Uri* uri = selector != nullptr ? &selector->uri : nullptr;
  const bool gives_pin = uri != nullptr && (uri->pin_source || uri->pin_value);
  const tokens::Uri* of_token = gives_pin || so ? nullptr : uri_of_token(context);
  if (of_token != nullptr) uri = of_token;
  tokens::PinOptions options = tokens::pin_options(role, context.environment, uri);
  options.option = so ? context.options.so_pin_source : context.options.pin_source;
  options.configuration = so ? context.config.so_pin_source : context.config.pin_source;
  options.may_prompt = !context.options.json && !context.options.batch;
  return options;
}

tokens::OpenToken open_for_user(Context& context, pkcs11::Access access, const tokens::Reach& way,
                                const tokens::Selector* selector) {
  return tokens::open_token(way, access, tokens::Login::user,
                            pin_options(context, tokens::PinRole::user, selector));
}

tokens::OpenToken open_for_user(Context& context, pkcs11::Access access,
                                const tokens::Selector* selector) {
  return open_for_user(context, access, reach(context, selector), selector);
}

tokens::OpenToken open_as(const std::string& user, Context& context, const tokens::Reach& way,
                          const tokens::Selector* selector) {
  if (user == "user") return open_for_user(context, pkcs11::Access::read_write, way, selector);
  return tokens::open_token(way, pkcs11::Access::read_write, tokens::Login::so,
                            pin_options(context, tokens::PinRole::so));
}

Outcome planned(const std::vector<Change>& changes) {
  Outcome outcome;
  outcome.data["plan"] = Json::array();
  for (const Change& change : changes) {
    outcome.data["plan"].push_back(
        {{"action", verb_of(change.kind)}, {"what", json_text(change.what)}});
  }
  outcome.text = changes.empty() ? "nothing would change\n" : lines_of(changes);
  return outcome;
}

void confirm(const Context& context, const std::vector<Change>& changes) {
  if (context.options.yes) return;
  const bool may_ask = !context.options.json && !context.options.batch;
  if (may_ask && ask(lines_of(changes) + "go on? [y/N] ")) return;
  throw Error(Kind::confirmation_needed,
              fmt::format("{}: not confirmed, nothing was changed", context.command))
      .hint("look at it with --plan, consent with --yes");
}

Json json_text(std::string_view text) {
  return is_utf8(text) ? Json(std::string(text)) : Json(printable(text, text.size() * 8));
}

std::string table(const std::vector<std::string>& headings,
                  const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";  // headings of nothing help nobody
  std::vector<std::size_t> widths;
  for (const std::string& heading : headings) widths.push_back(heading.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  const auto add = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  };
  add(headings);
  for (const auto& row : rows) add(row);
  return text;
}

}  // namespace hsmith::cli
