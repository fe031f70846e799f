#include "tokens/attestation.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/x509/certificate.h"
#include "src/x509/path.h"

namespace hsmith::tokens {
namespace {

// ykcs11's labels: "X.509 Certificate for PIV Attestation 9a" for the key in slot 9A, and without
// a slot for the one that signs.
constexpr std::string_view kLabel = "X.509 Certificate for PIV Attestation";

bool is_attestation(const TokenCertificate& certificate) {
  return certificate.label.starts_with(kLabel);
}

bool certifies(const TokenCertificate& certificate, EVP_PKEY* key) {
  try {
    const ossl::Certificate read = x509::certificate_from_der(certificate.der, certificate.uri);
    EVP_PKEY* certified = X509_get0_pubkey(read.get());
    return certified != nullptr && ossl::same_public_key(certified, key);
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<Bytes> attestation_of(const Inventory& inventory, EVP_PKEY* public_half) {
  std::vector<Bytes> chain;
  for (const TokenCertificate& one : inventory.certificates) {
    if (is_attestation(one) && certifies(one, public_half)) chain.push_back(one.der);
  }
  if (chain.empty()) return {};
  chain.resize(1);
  for (const TokenCertificate& one : inventory.certificates) {
    if (one.label == kLabel) chain.push_back(one.der);
  }
  return chain;
}

std::string attestation_problem(const std::vector<Bytes>& certificates, EVP_PKEY* public_half,
                                const std::vector<ossl::Certificate>& roots, std::time_t time) {
  if (certificates.empty()) return "the bundle holds no attestation";
  std::vector<ossl::Certificate> chain;
  try {
    for (const Bytes& der : certificates)
      chain.push_back(x509::certificate_from_der(der, "an attestation certificate"));
  } catch (const Error& error) {
    return error.what();
  }
  EVP_PKEY* attested = X509_get0_pubkey(chain.front().get());
  if (attested == nullptr || !ossl::same_public_key(attested, public_half))
    return "the attestation is of another key";
  const ossl::Certificate leaf = std::move(chain.front());
  chain.erase(chain.begin());
  x509::PathOptions options;
  options.time = time;
  const x509::Verdict verdict = x509::verify_path(leaf.get(), chain, roots, options);
  if (verdict.ok) return "";
  return verdict.problems.empty() ? "no path leads to the root" : verdict.problems.front().reason;
}

}  // namespace hsmith::tokens
