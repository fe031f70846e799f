#include "cli/audit_policy.h"

#include <algorithm>
#include <fmt/format.h>
#include <fnmatch.h>
#include <optional>

#include "src/base/text.h"
#include "src/x509/toml_table.h"

namespace hsmith::cli {
namespace {

using x509::Severity;

std::vector<std::string> codes() {
  std::vector<std::string> all;
  for (const tokens::AuditRule& rule : tokens::audit_rules()) all.emplace_back(rule.code);
  return all;
}

// nullopt: off.
std::optional<Severity> severity_named(const x509::TomlTable& table, const char* code,
                                       Severity usual) {
  std::string text;
  table.read(code, text);
  if (text.empty()) return usual;
  if (text == "error") return Severity::error;
  if (text == "warning") return Severity::warning;
  if (text == "off") return std::nullopt;
  table.refuse(code, fmt::format("{}: it is \"error\", \"warning\" or \"off\"", quoted(text)));
}

}  // namespace

AuditPolicy default_policy() {
  AuditPolicy policy;
  for (const tokens::AuditRule& rule : tokens::audit_rules())
    policy.findings.emplace_back(rule.code, rule.severity);
  return policy;
}

AuditPolicy parse_policy(ByteView content, const std::string& name) {
  AuditPolicy policy;
  policy.name = name;
  const std::string document = "the policy " + quoted(name);
  const toml::table root = x509::parse_toml(as_text(content), document);
  const x509::TomlTable table(root, "", document, {"findings", "except"});
  const x509::TomlTable findings = table.inner("findings", codes());
  for (const tokens::AuditRule& rule : tokens::audit_rules()) {
    if (const auto severity = severity_named(findings, rule.code, rule.severity))
      policy.findings.emplace_back(rule.code, *severity);
  }
  for (const x509::TomlTable& entry : table.list("except", {"key", "findings", "reason"})) {
    AuditException exception;
    entry.read("key", exception.key);
    entry.read("findings", exception.findings, codes());
    entry.read("reason", exception.reason);
    if (exception.key.empty()) entry.refuse("key", "name the key that is excepted");
    if (exception.findings.empty()) entry.refuse("findings", "name what is excepted");
    if (exception.reason.empty()) entry.refuse("reason", "say why: it is shown in each audit");
    policy.exceptions.push_back(std::move(exception));
  }
  return policy;
}

std::vector<JudgedFinding> judge(const AuditPolicy& policy, const tokens::AuditedKey& key) {
  std::vector<JudgedFinding> judged;
  for (const tokens::AuditFinding& finding : key.findings) {
    for (const auto& [code, severity] : policy.findings) {
      if (code != finding.code) continue;
      JudgedFinding one{severity, code, finding.text, ""};
      for (const AuditException& exception : policy.exceptions) {
        const bool is_meant =
            std::ranges::find(exception.findings, code) != exception.findings.end();
        if (is_meant && fnmatch(exception.key.c_str(), key.key.label.c_str(), 0) == 0)
          one.excepted = exception.reason;
      }
      judged.push_back(std::move(one));
    }
  }
  return judged;
}

}  // namespace hsmith::cli
