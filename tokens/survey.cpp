#include "tokens/survey.h"

#include <chrono>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/child_process.h"

namespace hsmith::tokens {
namespace {

using nlohmann::json;
using pkcs11::TokenInfo;

constexpr std::chrono::seconds kLimit{10};

// What crosses the pipe: one JSON object, texts as hex because a token may hold any bytes.
std::string packed(const std::string& text) { return hex(as_bytes(text)); }
std::string unpacked(const json& text) {
  const auto bytes = parse_hex(text.get<std::string>());
  return bytes ? std::string(as_text(*bytes)) : std::string();
}

json pack_token(const TokenInfo& token) {
  return {{"label", packed(token.label)},
          {"manufacturer", packed(token.manufacturer)},
          {"model", packed(token.model)},
          {"serial", packed(token.serial)},
          {"flags", token.flags}};
}

TokenInfo unpack_token(const json& packed_token) {
  TokenInfo token;
  token.label = unpacked(packed_token.at("label"));
  token.manufacturer = unpacked(packed_token.at("manufacturer"));
  token.model = unpacked(packed_token.at("model"));
  token.serial = unpacked(packed_token.at("serial"));
  token.flags = packed_token.at("flags").get<CK_FLAGS>();
  return token;
}

json look(const pkcs11::Module& module, CK_SLOT_ID id) {
  json slot{{"id", id}, {"description", ""}, {"failure", ""}};
  try {
    const pkcs11::SlotInfo info = module.slot_info(id);
    slot["description"] = packed(info.description);
    if ((info.flags & CKF_TOKEN_PRESENT) != 0) slot["token"] = pack_token(module.token_info(id));
  } catch (const Error& error) {
    slot["failure"] = packed(error.what());
  }
  return slot;
}

// The child's whole work.
json look(const ConfiguredModule& configured) {
  json report{{"failure", ""}, {"description", ""}, {"slots", json::array()}};
  try {
    const auto module = pkcs11::Module::load({configured.path, configured.init, nullptr});
    report["description"] = packed(module->info().description);
    for (const CK_SLOT_ID id : module->slots(CK_FALSE))
      report["slots"].push_back(look(*module, id));
  } catch (const Error& error) {
    report["failure"] = packed(error.what());
  }
  return report;
}

void unpack(const std::string& text, SurveyedModule& into) {
  const json report = json::parse(text);
  into.description = unpacked(report.at("description"));
  into.failure = unpacked(report.at("failure"));
  for (const json& packed_slot : report.at("slots")) {
    SurveyedSlot slot;
    slot.id = packed_slot.at("id").get<CK_SLOT_ID>();
    slot.description = unpacked(packed_slot.at("description"));
    slot.failure = unpacked(packed_slot.at("failure"));
    if (packed_slot.contains("token")) slot.token = unpack_token(packed_slot.at("token"));
    into.slots.push_back(std::move(slot));
  }
}

}  // namespace

SurveyedModule survey(const ConfiguredModule& module,
                      const std::optional<std::filesystem::path>& lock_folder) {
  const auto lock = lock_folder ? lock_module(module.path, *lock_folder) : nullptr;
  SurveyedModule surveyed;
  surveyed.module = module;
  try {
    unpack(run_in_child("use the module", kLimit, [&] { return look(module).dump(); }), surveyed);
  } catch (const Error& error) {
    if (error.kind() == Kind::io) throw;
    surveyed.failure = error.what();
  } catch (const json::exception&) {
    surveyed.failure = "use the module: it wrote into what this process reads";
  }
  return surveyed;
}

ConfiguredModule module_with_token(const TokenChoice& choice,
                                   const std::filesystem::path& lock_folder) {
  std::vector<ConfiguredModule> modules;
  std::vector<std::string> uris;
  std::vector<std::string> others;
  for (const ConfiguredModule& configured : configured_modules()) {
    for (const SurveyedSlot& slot : survey(configured, lock_folder).slots) {
      if (!slot.token || !slot.token->has(CKF_TOKEN_INITIALIZED)) continue;
      const bool hit = choice.text.empty() ? slot.token->has(CKF_LOGIN_REQUIRED) &&
                                                 !slot.token->has(CKF_WRITE_PROTECTED)
                                           : matches(choice, *slot.token, slot.id);
      (hit ? uris : others).push_back(token_uri(*slot.token));
      if (hit) modules.push_back(configured);
    }
  }
  const std::string what =
      choice.text.empty() ? "open the token" : "open the token " + quoted(choice.text);
  if (modules.size() == 1) return modules.front();
  if (modules.empty()) {
    throw Error(Kind::not_found, what + ": no module that p11-kit has configured has it")
        .hint("name the module with --module; see tokens with: hsmith token list")
        .candidates(std::move(others));
  }
  throw Error(Kind::ambiguous, fmt::format("{}: {} tokens match{}", what, modules.size(),
                                           choice.text.empty() ? " and none was chosen" : ""))
      .hint("choose one with --token LABEL, --token serial:… or one of these URIs")
      .candidates(std::move(uris));
}

}  // namespace hsmith::tokens
