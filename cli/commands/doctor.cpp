// hsmith doctor: what stands in the way, with its remedy; --repair finishes what was interrupted.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/machine_checks.h"
#include "cli/repair.h"
#include "cli/token_output.h"
#include "src/base/error.h"
#include "src/base/lock.h"
#include "src/base/text.h"
#include "tokens/keys.h"
#include "tokens/quirks.h"
#include "tokens/survey.h"

namespace hsmith::cli {
namespace {

const char* state_name(State state) {
  switch (state) {
    case State::ok:
      return "ok";
    case State::warning:
      return "warning";
    default:
      return "PROBLEM";
  }
}

Check check_token(const pkcs11::TokenInfo& token) {
  const std::string name = fmt::format("token {}", quoted(token.label));
  if (!token.has(CKF_TOKEN_INITIALIZED))
    return {"slot", State::ok, "holds a token that is not initialised", ""};
  const std::string state = token_state(token);
  if (token.has(CKF_USER_PIN_LOCKED))
    return {name, State::problem, state, tokens::unblock_hint(token)};
  const bool pin_missing = token.has(CKF_LOGIN_REQUIRED) && !token.has(CKF_USER_PIN_INITIALIZED);
  if (pin_missing)
    return {name, State::problem, state,
            "the security officer sets it with: " + tokens::unblock_command(token)};
  if (token.has(CKF_USER_PIN_FINAL_TRY))
    return {name, State::warning, state, "be sure of the PIN, then add --use-last-try"};
  if (token.has(CKF_USER_PIN_COUNT_LOW))
    return {name, State::warning, state, "a login with the right PIN clears it"};
  return {name, State::ok, state, ""};
}

void check_modules(Context& context, std::vector<Check>& checks) {
  std::vector<tokens::ConfiguredModule> modules;
  try {
    modules = modules_in_reach(context);
  } catch (const Error& error) {
    checks.push_back({"module", State::problem, error.what(), error.hint()});
    return;
  }
  if (modules.empty()) {
    checks.push_back({"module", State::problem, "none is named, and p11-kit has none configured",
                      "name one with --module"});
  }
  std::optional<std::filesystem::path> locks;
  try {
    locks = lock_folder(context.config.lock_folder, context.environment);
  } catch (const Error&) {  // check_lock_folder says so
  }
  for (const auto& module : modules) {
    const tokens::SurveyedModule seen = tokens::survey(module, locks);
    if (!seen.failure.empty()) {
      checks.push_back({"module", State::problem,
                        fmt::format("{}: {}", printable(module.path), seen.failure),
                        "name the right one with --module"});
      continue;
    }
    checks.push_back({"module", State::ok,
                      fmt::format("{} ({})", printable(module.path), printable(seen.description)),
                      ""});
    std::ranges::move(check_module_file(module.path), std::back_inserter(checks));
    for (const auto& slot : seen.slots) {
      if (slot.token) checks.push_back(check_token(*slot.token));
      if (!slot.failure.empty())
        checks.push_back({"slot", State::problem, printable(slot.failure), "hsmith token list"});
    }
  }
}

// Objects that a module did not finish writing, as far as they are seen without a login. A
// chosen token that is not there is told here, all else of tokens by check_modules.
void check_objects(Context& context, std::vector<Check>& checks) {
  bool is_chosen = false;
  try {
    is_chosen = !reach(context).token.text.empty();
    const tokens::OpenToken token =
        tokens::open_token(reach(context), pkcs11::Access::read_only, tokens::Login::none,
                           pin_options(context, tokens::PinRole::user));
    const std::size_t broken = tokens::take_inventory(token).broken.size();
    if (broken == 0) return;
    checks.push_back(
        {fmt::format("token {}", quoted(token.info.label)), State::warning,
         fmt::format(
             "{} of its objects are incomplete: a program ended while the module wrote them; "
             "nothing can use them",
             broken),
         "hsmith key list shows them; the module's own tool removes them"});
  } catch (const Error& error) {
    if (is_chosen && error.kind() == Kind::not_found) {
      checks.push_back({"token", State::warning, error.what(), error.hint()});
    } else {
      context.tell(error.what());
    }
  }
}

void check_journal(Context& context, bool with_repair, std::vector<Check>& checks) {
  std::vector<journal::Entry> entries;
  try {
    entries = journal::unfinished(context.environment.state_folder);
  } catch (const Error& error) {
    checks.push_back({"journal", State::problem, error.what(), error.hint()});
    return;
  }
  if (entries.empty()) checks.push_back({"journal", State::ok, "nothing was interrupted", ""});
  for (const journal::Entry& entry : entries) {
    if (!with_repair) {
      checks.push_back({"journal", State::problem, describe(entry), "hsmith doctor --repair"});
      continue;
    }
    try {
      refuse_unsafe_state(context);
      const Repaired repaired = repair(entry, context);
      checks.push_back({"journal", repaired.settled ? State::ok : State::problem,
                        describe(entry) + "; " + repaired.text, ""});
    } catch (const Error& error) {
      checks.push_back({"journal", State::problem,
                        fmt::format("{}; repairing it failed: {}", describe(entry), error.what()),
                        error.hint()});
    }
  }
}

Outcome run(bool with_repair, Context& context) {
  std::vector<Check> checks = check_machine(context);
  check_modules(context, checks);
  if (context.options.plan) with_repair = false;
  check_journal(context, with_repair, checks);
  check_objects(context, checks);
  Outcome outcome;
  outcome.data["checks"] = Json::array();
  for (const Check& check : checks) {
    if (check.state == State::problem) outcome.exit = 3;
    Json json{{"name", json_text(check.name)},
              {"state", lower(state_name(check.state))},
              {"text", json_text(check.text)}};
    if (!check.remedy.empty()) json["remedy"] = json_text(check.remedy);
    outcome.data["checks"].push_back(std::move(json));
    outcome.text += fmt::format("{:<8} {}: {}\n", state_name(check.state), check.name, check.text);
    if (!check.remedy.empty()) outcome.text += fmt::format("         remedy: {}\n", check.remedy);
  }
  return outcome;
}

}  // namespace

void add_doctor(Arguments& command, Context& context) {
  auto with_repair = std::make_shared<bool>(false);
  command.add_flag("--repair", *with_repair, "Finish or undo what was interrupted");
  command.footer("Examples:\n  hsmith doctor\n  hsmith doctor --repair --yes");
  command.callback([with_repair, &context] {
    context.run = [with_repair, &context] { return run(*with_repair, context); };
  });
}

}  // namespace hsmith::cli
