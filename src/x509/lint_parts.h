// The parts of a lint, of which lint.cpp makes the whole.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/contains.h"
#include "src/x509/alt_names.h"
#include "src/x509/finding.h"
#include "src/x509/profile.h"

namespace hsmith::x509 {

using Findings = std::vector<Finding>;

// Subject and names of a request, wherever they come from.
struct LintView {
  const X509_NAME* subject;  // never null
  std::span<const AltName> names;
  std::span<const std::string> key_usage;
  std::span<const std::string> extended_key_usage;
};

// Adds a finding; of very many only the first ones are kept.
void add_finding(Findings& findings, Severity severity, const char* code, std::string text);

// True of the algorithms that hsmith has: RSA, EC, Ed25519.
bool is_known(const EVP_PKEY* key);

// The subject against RFC 5280 and, unless null, against a profile.
void lint_subject(const LintView& view, const Profile* profile, Findings& findings);

// The other names (subjectAltName), likewise.
void lint_names(const LintView& view, const Profile* profile, Findings& findings);

}  // namespace hsmith::x509
