#include "src/x509/lint.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/lint_parts.h"
#include "src/x509/public_key.h"

namespace hsmith::x509 {
namespace {

constexpr std::size_t kMostFindings = 200;

}  // namespace

void add_finding(Findings& findings, Severity severity, const char* code, std::string text) {
  if (findings.size() < kMostFindings) findings.push_back({severity, code, std::move(text)});
}

namespace {

void lint_usages(const LintView& view, const Profile& profile, const EVP_PKEY* key,
                 Findings& findings) {
  const auto& wanted = default_key_usage(profile, ossl::algorithm_of(key));
  if (wanted.empty()) return;  // the profile leaves it to the authority
  for (const std::string& usage : view.key_usage) {
    if (!contains(wanted, usage)) {
      add_finding(
          findings, Severity::warning, "key_usage_extra",
          fmt::format("the key usage {} is not one of the profile {}", usage, profile.name));
    }
  }
  for (const std::string& usage : wanted) {
    if (!view.key_usage.empty() && !contains(view.key_usage, usage)) {
      add_finding(
          findings, Severity::warning, "key_usage_missing",
          fmt::format("the key usage {} of the profile {} is not asked for", usage, profile.name));
    }
  }
}

void lint_purposes(const LintView& view, const Profile& profile, Findings& findings) {
  for (const std::string& purpose : profile.extended_key_usage) {
    if (!contains(view.extended_key_usage, purpose)) {
      add_finding(findings, Severity::warning, "purpose_missing",
                  fmt::format("the extended key usage {} of the profile {} is not asked for",
                              purpose, profile.name));
    }
  }
}

void lint_signature(X509_REQ* request, Findings& findings) {
  if (!request_signature_ok(request)) {
    add_finding(findings, Severity::error, "signature_invalid",
                "the request's signature does not verify with its own key");
  }
  const X509_ALGOR* algorithm = nullptr;
  X509_REQ_get0_signature(request, nullptr, &algorithm);
  switch (digest_nid_of(algorithm)) {
    case NID_md2:
    case NID_md4:
    case NID_md5:
    case NID_sha1:
    case NID_ripemd160:
    case NID_md5_sha1:
      add_finding(findings, Severity::error, "signature_digest_weak",
                  fmt::format("the request is signed with a broken digest ({})",
                              algorithm_name(algorithm)));
      break;
    default:
      break;
  }
}

void lint_view(const LintView& view, const Profile* profile, Findings& findings) {
  lint_subject(view, profile, findings);
  lint_names(view, profile, findings);
  if (profile != nullptr) lint_purposes(view, *profile, findings);
}

}  // namespace

std::vector<Finding> lint_request(X509_REQ* request, const Profile* profile) {
  Findings findings;
  lint_signature(request, findings);
  const RequestFacts facts = request_facts(request);
  const ExtensionFacts& extensions = facts.extensions;
  const LintView view{X509_REQ_get_subject_name(request), extensions.names, extensions.key_usage,
                      extensions.extended_key_usage};
  lint_view(view, profile, findings);
  const bool asks = extensions.is_ca.value_or(false);
  const bool authority = profile != nullptr && profile->authority;
  if (authority && !asks) {
    add_finding(
        findings, Severity::warning, "authority_missing",
        fmt::format("the profile {} is an authority's, and the request does not ask to be one",
                    profile->name));
  }
  if (asks && !authority) {
    add_finding(findings, Severity::warning, "asks_for_authority",
                "the request asks to become a certification authority");
  }
  EVP_PKEY* key = public_key_of(request);
  for (Finding& finding : lint_key(key, profile)) findings.push_back(std::move(finding));
  if (profile != nullptr && is_known(key)) lint_usages(view, *profile, key, findings);
  return findings;
}

std::vector<Finding> lint_spec(const RequestSpec& spec, const Profile* profile) {
  Findings findings;
  const ossl::Name empty(ossl::check_ptr(X509_NAME_new(), "make a name"));
  const Wishes& wishes = spec.wishes;
  lint_view({spec.subject == nullptr ? empty.get() : spec.subject.get(), wishes.names,
             wishes.key_usage, wishes.extended_key_usage},
            profile, findings);
  return findings;
}

}  // namespace hsmith::x509
