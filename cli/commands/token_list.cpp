// hsmith token list: every slot of every module; one that crashes hides no other.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/token_output.h"
#include "src/base/error.h"
#include "src/base/lock.h"
#include "src/base/text.h"
#include "tokens/survey.h"

namespace hsmith::cli {
namespace {

Json slot_json(const tokens::SurveyedSlot& slot) {
  Json json{{"slot", slot.id}, {"description", json_text(slot.description)}};
  if (slot.token) json["token"] = token_json(*slot.token);
  if (!slot.failure.empty()) json["failure"] = json_text(slot.failure);
  return json;
}

std::vector<std::string> slot_text(const tokens::SurveyedSlot& slot, const std::string& module) {
  std::vector<std::string> row{module, std::to_string(slot.id)};
  if (!slot.token) {
    row.insert(row.end(),
               {"-", "-", "-", slot.failure.empty() ? "empty slot" : printable(slot.failure), "-"});
    return row;
  }
  const bool usable = slot.token->has(CKF_TOKEN_INITIALIZED);
  row.insert(row.end(), {usable ? printable(slot.token->label) : "-", printable(slot.token->model),
                         printable(slot.token->serial), token_state(*slot.token),
                         usable ? tokens::token_uri(*slot.token) : "-"});
  return row;
}

Outcome run(Context& context) {
  const auto configured = modules_in_reach(context);
  Outcome outcome;
  outcome.data["modules"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  const auto locks = lock_folder(context.config.lock_folder, context.environment);
  for (const auto& module : configured) {
    const tokens::SurveyedModule seen = tokens::survey(module, locks);
    Json json{{"name", json_text(module.name)}, {"path", json_text(module.path)}};
    if (!seen.description.empty()) json["description"] = json_text(seen.description);
    if (!seen.failure.empty()) {
      json["failure"] = json_text(seen.failure);
      if (configured.size() == 1) {
        throw Error(Kind::module_load,
                    seen.failure.starts_with("the module ")
                        ? fmt::format("look at {}: {}", quoted(module.path), seen.failure)
                        : seen.failure)
            .hint("--module takes the path of a PKCS#11 library, or a name that p11-kit knows");
      }
      context.warn(fmt::format("{}: {}", quoted(module.path), seen.failure));
    }
    json["slots"] = Json::array();
    for (const auto& slot : seen.slots) {
      json["slots"].push_back(slot_json(slot));
      rows.push_back(
          slot_text(slot, printable(std::filesystem::path(module.name).filename().string())));
    }
    outcome.data["modules"].push_back(std::move(json));
  }
  outcome.text = table({"MODULE", "SLOT", "LABEL", "MODEL", "SERIAL", "STATE", "URI"}, rows);
  return outcome;
}

}  // namespace

void add_token_list(Arguments& command, Context& context) {
  command.footer("Examples:\n  hsmith token list\n  hsmith token list --module softhsm2 --json");
  command.callback([&context] { context.run = [&context] { return run(context); }; });
}

}  // namespace hsmith::cli
