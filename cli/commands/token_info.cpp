// hsmith token info: one token whole, without a login.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/token_output.h"
#include "pkcs11/names.h"
#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

struct Operation {
  CK_FLAGS flag;
  const char* name;
};
constexpr Operation kOperations[] = {{CKF_GENERATE_KEY_PAIR, "generate"},
                                     {CKF_GENERATE, "generate"},
                                     {CKF_SIGN, "sign"},
                                     {CKF_VERIFY, "verify"},
                                     {CKF_ENCRYPT, "encrypt"},
                                     {CKF_DECRYPT, "decrypt"},
                                     {CKF_WRAP, "wrap"},
                                     {CKF_UNWRAP, "unwrap"},
                                     {CKF_DERIVE, "derive"},
                                     {CKF_DIGEST, "digest"}};

Json mechanisms_json(const tokens::OpenToken& token, Context& context) {
  Json list = Json::array();
  for (const CK_MECHANISM_TYPE type : token.module->mechanisms(token.slot)) {
    Json entry{{"name", pkcs11::mechanism_name(type)}};
    try {
      const pkcs11::MechanismInfo info = token.module->mechanism_info(token.slot, type);
      if (info.max_key_size != 0) {
        entry["min_key_size"] = info.min_key_size;
        entry["max_key_size"] = info.max_key_size;
      }
      entry["operations"] = Json::array();
      for (const Operation& operation : kOperations) {
        if ((info.flags & operation.flag) != 0) entry["operations"].push_back(operation.name);
      }
    } catch (const Error& error) {
      context.warn(fmt::format("{}: {}", pkcs11::mechanism_name(type), error.what()));
    }
    list.push_back(std::move(entry));
  }
  return list;
}

std::string memory_text(CK_ULONG free, CK_ULONG total) {
  if (free == CK_UNAVAILABLE_INFORMATION || total == CK_UNAVAILABLE_INFORMATION) return "not told";
  return fmt::format("{} of {} bytes free", free, total);
}

std::string sessions_text(CK_ULONG most) {
  if (most == CK_UNAVAILABLE_INFORMATION) return "not told";
  return most == CK_EFFECTIVELY_INFINITE ? "no limit" : fmt::format("at most {}", most);
}

std::string text_of(const pkcs11::TokenInfo& token, const Json& data) {
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{:<16} {}\n", name, value);
  };
  line("label", printable(token.label));
  line("manufacturer", printable(token.manufacturer));
  line("model", printable(token.model));
  line("serial", printable(token.serial));
  line("uri", tokens::token_uri(token));
  line("state", token_state(token));
  line("SO PIN", officer_pin_state(token));
  line("PIN length", fmt::format("{} to {}", token.min_pin, token.max_pin));
  line("PIN pad", token.has(CKF_PROTECTED_AUTHENTICATION_PATH) ? "yes" : "no");
  line("sessions", sessions_text(token.max_sessions));
  line("public memory", memory_text(token.free_public_memory, token.total_public_memory));
  line("private memory", memory_text(token.free_private_memory, token.total_private_memory));
  std::vector<std::vector<std::string>> rows;
  for (const auto& mechanism : data["mechanisms"]) {
    std::string operations;
    for (const auto& operation : mechanism.value("operations", Json::array())) {
      operations += (operations.empty() ? "" : ",") + operation.get<std::string>();
    }
    const std::string sizes = mechanism.contains("max_key_size")
                                  ? fmt::format("{}-{}", mechanism["min_key_size"].get<CK_ULONG>(),
                                                mechanism["max_key_size"].get<CK_ULONG>())
                                  : "-";
    rows.push_back({mechanism["name"].get<std::string>(), sizes, operations});
  }
  return text + "\n" + table({"MECHANISM", "KEY SIZES", "OPERATIONS"}, rows);
}

Outcome run(Context& context) {
  const tokens::OpenToken token =
      tokens::open_token(reach(context), pkcs11::Access::read_only, tokens::Login::none, {});
  Outcome outcome;
  outcome.data = token_json(token.info);
  outcome.data["min_pin"] = token.info.min_pin;
  outcome.data["max_pin"] = token.info.max_pin;
  const auto told = [&](const char* name, CK_ULONG number) {
    if (number != CK_UNAVAILABLE_INFORMATION) outcome.data[name] = number;
  };
  told("free_public_memory", token.info.free_public_memory);
  told("free_private_memory", token.info.free_private_memory);
  if (token.info.max_sessions != CK_EFFECTIVELY_INFINITE)
    told("max_sessions", token.info.max_sessions);
  outcome.data["mechanisms"] = mechanisms_json(token, context);
  outcome.text = text_of(token.info, outcome.data);
  return outcome;
}

}  // namespace

void add_token_info(Arguments& command, Context& context) {
  command.footer(
      "Examples:\n  hsmith token info\n  hsmith token info --token serial:7a3f2c --json");
  command.callback([&context] { context.run = [&context] { return run(context); }; });
}

}  // namespace hsmith::cli
