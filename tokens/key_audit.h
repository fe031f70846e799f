// What is wrong, or might be, with the keys of a token.
#pragma once

#include <ctime>
#include <span>
#include <string>
#include <vector>

#include "src/x509/finding.h"
#include "tokens/proof.h"

namespace hsmith::tokens {

// A kind of finding, and how grave it is unless a policy says otherwise.
struct AuditRule {
  const char* code;  // snake_case, stable
  x509::Severity severity;
  const char* about;
};
std::span<const AuditRule> audit_rules();

struct AuditFinding {
  std::string code;
  std::string text;  // one line
};

struct AuditedKey {
  Key key;
  // Whether it can leave: refuted where it can; else tested, claimed or not_claimed.
  FactState stays_inside = FactState::not_claimed;
  std::vector<AuditFinding> findings;
};

// Looks at every private and secret key, and attacks each (attacks.h), which is said before it is
// done. Nothing is left on the token. Certificates are judged at `time`. Throws token_failed when
// an object cannot be read.
std::vector<AuditedKey> audit_keys(const OpenToken& token, std::time_t time, const Say& say);

}  // namespace hsmith::tokens
