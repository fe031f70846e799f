#include "src/recovery/pfx_check.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/recovery/private_key.h"
#include "src/x509/certificate.h"
#include "src/x509/chain.h"

namespace hsmith::recovery {
namespace {

using x509::Finding;
using x509::Severity;

std::string name_of(const PfxKey& entry) {
  const std::string type = ossl::key_type_name(entry.key.get());
  return entry.name.empty() ? "the " + type + " key"
                            : fmt::format("the key {}", quoted(entry.name));
}

bool is_weak(std::string_view encryption) {
  for (const char* weak : {"RC2", "RC4", "DES-CBC", "MD5", "DES-EDE"}) {
    if (encryption.find(weak) != std::string_view::npos) return true;
  }
  return encryption.find("TripleDES") != std::string_view::npos ||
         encryption.find("3DES") != std::string_view::npos;
}

void add_protection(std::vector<Finding>& findings, const PfxProtection& protection) {
  if (protection.mac.empty())
    findings.push_back({Severity::warning, "no_mac", "it has no MAC: changes are not noticed"});
  if (protection.encryption.empty())
    findings.push_back({Severity::warning, "not_encrypted", "nothing in it is encrypted"});
  for (const std::string& encryption : protection.encryption) {
    if (!is_weak(encryption)) continue;
    findings.push_back({Severity::warning, "weak_encryption", "weak encryption: " + encryption});
  }
}

void add_times(std::vector<Finding>& findings, const Pfx& pfx, std::time_t now) {
  for (const PfxCertificate& entry : pfx.certificates) {
    const auto facts = x509::certificate_facts(entry.certificate.get());
    if (facts.not_after >= now) continue;
    findings.push_back({Severity::warning, "expired",
                        fmt::format("the certificate of {} expired on {}", facts.subject,
                                    rfc3339(facts.not_after))});
  }
}

// Certificates that neither have a key here nor stand in the chain of one that has.
void add_strangers(std::vector<Finding>& findings, const Pfx& pfx) {
  std::vector<ossl::Certificate> all;
  for (const PfxCertificate& entry : pfx.certificates)
    all.push_back(ossl::share(entry.certificate.get()));
  std::vector<ossl::Certificate> belonging;
  for (const PfxKey& key : pfx.keys) {
    for (const X509* leaf : certificates_of(pfx, key.key.get())) {
      for (auto& path : x509::issuer_paths(const_cast<X509*>(leaf), all, {}).paths)
        std::move(path.chain.begin(), path.chain.end(), std::back_inserter(belonging));
    }
  }
  for (const ossl::Certificate& certificate : all) {
    const bool belongs = std::any_of(belonging.begin(), belonging.end(), [&](const auto& link) {
      return x509::same_certificate(link.get(), certificate.get());
    });
    if (belongs) continue;
    findings.push_back({Severity::notice, "stranger",
                        fmt::format("the certificate of {} belongs to no key here",
                                    x509::certificate_facts(certificate.get()).subject)});
  }
}

}  // namespace

std::vector<Finding> check_pairs(const Pfx& pfx) {
  std::vector<Finding> findings;
  for (const PfxKey& entry : pfx.keys) {
    const auto certificates = certificates_of(pfx, entry.key.get());
    if (certificates.empty()) {
      findings.push_back(
          {Severity::error, "no_certificate", name_of(entry) + " fits no certificate in the file"});
    }
    for (const X509* certificate : certificates) {
      const std::string problem = pair_problem(entry.key.get(), X509_get0_pubkey(certificate));
      if (problem.empty()) continue;
      findings.push_back(
          {Severity::error, "key_does_not_fit",
           fmt::format("{} does not fit its certificate: {}", name_of(entry), problem)});
    }
  }
  return findings;
}

std::vector<Finding> check_pfx(const Pfx& pfx, const PfxProtection& protection, std::time_t now) {
  std::vector<Finding> findings = check_pairs(pfx);
  if (pfx.keys.empty())
    findings.push_back({Severity::warning, "no_key", "it holds no private key"});
  add_protection(findings, protection);
  add_times(findings, pfx, now);
  add_strangers(findings, pfx);
  return findings;
}

void merge_into(Pfx& all, Pfx&& more) {
  for (PfxKey& entry : more.keys) {
    const bool known = std::any_of(all.keys.begin(), all.keys.end(), [&](const PfxKey& key) {
      return ossl::same_public_key(key.key.get(), entry.key.get());
    });
    if (!known) all.keys.push_back(std::move(entry));
  }
  for (PfxCertificate& entry : more.certificates) {
    const bool known = std::any_of(
        all.certificates.begin(), all.certificates.end(), [&](const PfxCertificate& there) {
          return x509::same_certificate(there.certificate.get(), entry.certificate.get());
        });
    if (!known) all.certificates.push_back(std::move(entry));
  }
}

}  // namespace hsmith::recovery
