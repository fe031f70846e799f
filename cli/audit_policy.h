// How grave each finding of an audit is, and which keys are excepted: a TOML file.
#pragma once

#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "tokens/key_audit.h"

namespace hsmith::cli {

struct AuditException {
  std::string key;                    // a label, * and ? stand for others
  std::vector<std::string> findings;  // codes
  std::string reason;
};

struct AuditPolicy {
  std::string name = "default";
  // As tokens::audit_rules, with the severities of the file; "off" are left out.
  std::vector<std::pair<std::string, x509::Severity>> findings;
  std::vector<AuditException> exceptions;
};

AuditPolicy default_policy();
// Throws configuration with the line, and the nearest key that there is.
AuditPolicy parse_policy(ByteView content, const std::string& name);

// A finding as the policy takes it.
struct JudgedFinding {
  x509::Severity severity = x509::Severity::error;
  std::string code;
  std::string text;
  std::string excepted;  // the reason why it does not count
};
std::vector<JudgedFinding> judge(const AuditPolicy& policy, const tokens::AuditedKey& key);

}  // namespace hsmith::cli
