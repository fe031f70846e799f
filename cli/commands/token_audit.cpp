// hsmith token audit: every private and secret key of a token against a policy.
#include <fmt/format.h>

#include "cli/audit_policy.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/proof_output.h"
#include "cli/token_child.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

constexpr std::size_t kPolicyLimit = 1u << 20;

Json finding_json(const JudgedFinding& finding) {
  Json json{{"severity", x509::severity_name(finding.severity)},
            {"code", finding.code},
            {"text", json_text(finding.text)}};
  if (!finding.excepted.empty()) json["excepted"] = json_text(finding.excepted);
  return json;
}

Json key_json(const AuditPolicy& policy, const tokens::AuditedKey& audited) {
  Json json{{"key", audited.key.uri},
            {"type", tokens::type_name(audited.key)},
            {"stays_inside", tokens::state_name(audited.stays_inside)},
            {"findings", Json::array()}};
  for (const JudgedFinding& finding : judge(policy, audited))
    json["findings"].push_back(finding_json(finding));
  return json;
}

std::size_t count(const Json& keys, const char* severity) {
  std::size_t found = 0;
  for (const Json& key : keys) {
    for (const Json& finding : key["findings"])
      found += finding["severity"] == severity && !finding.contains("excepted") ? 1 : 0;
  }
  return found;
}

std::string text_of(const Json& keys) {
  std::string text;
  for (const Json& key : keys) {
    text +=
        fmt::format("{} ({}): {}\n", key["key"].get<std::string>(), key["type"].get<std::string>(),
                    state_words(key["stays_inside"].get<std::string>()));
    for (const Json& finding : key["findings"]) {
      const bool excepted = finding.contains("excepted");
      text += fmt::format(
          "  {:<9} {}: {}{}\n", excepted ? "excepted" : finding["severity"].get<std::string>(),
          finding["code"].get<std::string>(), printable(finding["text"].get<std::string>()),
          excepted ? fmt::format(" ({})", printable(finding["excepted"].get<std::string>())) : "");
    }
  }
  return text;
}

Outcome run(const std::string& file, Context& context) {
  const AuditPolicy policy =
      file.empty() ? default_policy() : parse_policy(read_file(file, kPolicyLimit), file);
  const std::time_t now = std::time(nullptr);
  const Json keys =
      in_token_child(context, nullptr, "audit the token",
                     [&](const tokens::OpenToken& token, const tokens::Say& say) {
                       Json list = Json::array();
                       for (const tokens::AuditedKey& audited : tokens::audit_keys(token, now, say))
                         list.push_back(key_json(policy, audited));
                       return list;
                     });
  const std::size_t errors = count(keys, "error");
  const std::size_t warnings = count(keys, "warning");
  record(
      context,
      {{"event", "token audit"}, {"keys", keys.size()}, {"errors", errors}, {"warnings", warnings}},
      audit::Flush::no);
  Outcome outcome;
  outcome.exit = errors == 0 ? 0 : 3;
  outcome.data = {{"policy", json_text(policy.name)},
                  {"keys", keys},
                  {"errors", errors},
                  {"warnings", warnings}};
  outcome.text = text_of(keys) +
                 fmt::format("{} keys, {} errors, {} warnings\n", keys.size(), errors, warnings);
  return outcome;
}

}  // namespace

void add_token_audit(Arguments& command, Context& context) {
  auto policy = std::make_shared<std::string>();
  command.add_option(
      "--policy", *policy,
      "TOML: how grave each finding is, and what is excepted (default: docs/audit.md)");
  command.footer(
      "Examples:\n  hsmith token audit\n  hsmith token audit --policy audit.toml --json");
  command.callback(
      [policy, &context] { context.run = [policy, &context] { return run(*policy, context); }; });
}

}  // namespace hsmith::cli
