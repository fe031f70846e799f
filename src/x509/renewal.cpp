#include "src/x509/renewal.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "src/ossl/check.h"
#include "src/x509/public_key.h"

namespace hsmith::x509 {
namespace {

// Written by the authority for each certificate, or by hsmith from the wishes.
constexpr std::array<std::string_view, 17> kNotRenewed{
    "2.5.29.14",                // subjectKeyIdentifier
    "2.5.29.15",                // keyUsage
    "2.5.29.16",                // privateKeyUsagePeriod
    "2.5.29.17",                // subjectAltName
    "2.5.29.18",                // issuerAltName
    "2.5.29.19",                // basicConstraints
    "2.5.29.31",                // cRLDistributionPoints
    "2.5.29.32",                // certificatePolicies
    "2.5.29.35",                // authorityKeyIdentifier
    "2.5.29.37",                // extKeyUsage
    "2.5.29.46",                // freshestCRL
    "1.3.6.1.5.5.7.1.1",        // authorityInfoAccess
    "1.3.6.1.4.1.311.21.1",     // version of the authority's certificate
    "1.3.6.1.4.1.311.21.2",     // hash of the certificate before
    "1.3.6.1.4.1.11129.2.4.2",  // signed certificate timestamps
    "1.3.6.1.4.1.11129.2.4.3",  // poison of a precertificate
    "1.3.6.1.5.5.7.48.1.5",     // OCSP no check
};

constexpr std::time_t kDay = 86'400;

// From a day on (seconds since 1970, UTC) certificates for a purpose may last so many days.
struct Limit {
  const char* purpose;
  std::time_t from;
  long days;
};
// Ballots SC-022, SC-081 (Baseline Requirements 6.3.2), CSC-31 and the S/MIME requirements 6.3.2;
// of one purpose the latest first.
constexpr Limit kLimits[] = {
    {"serverAuth", 1'868'227'200, 47},          // 2029-03-15
    {"serverAuth", 1'805'068'800, 100},         // 2027-03-15
    {"serverAuth", 1'773'532'800, 200},         // 2026-03-15
    {"serverAuth", 1'598'918'400, 398},         // 2020-09-01
    {"serverAuth", 1'519'862'400, 825},         // 2018-03-01
    {"codeSigning", 1'772'323'200, 460},        // 2026-03-01
    {"codeSigning", 1'496'275'200, 1'187},      // 2017-06-01: 39 months
    {"emailProtection", 1'752'624'000, 825},    // 2025-07-16
    {"emailProtection", 1'693'526'400, 1'185},  // 2023-09-01
};

}  // namespace

RequestSpec renewal_spec(X509* certificate) {
  RequestSpec spec;
  spec.subject.reset(ossl::check_ptr(X509_NAME_dup(X509_get_subject_name(certificate)),
                                     "copy the subject of the certificate"));
  ExtensionFacts facts = certificate_facts(certificate).extensions;
  spec.wishes.names = std::move(facts.names);
  spec.wishes.key_usage = std::move(facts.key_usage);
  spec.wishes.extended_key_usage = std::move(facts.extended_key_usage);
  for (int i = 0; i < X509_get_ext_count(certificate); ++i) {
    X509_EXTENSION* extension = X509_get_ext(certificate, i);
    const std::string oid = oid_text(X509_EXTENSION_get_object(extension));
    if (std::find(kNotRenewed.begin(), kNotRenewed.end(), oid) != kNotRenewed.end()) continue;
    const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(extension);
    const ByteView der(ASN1_STRING_get0_data(value),
                       static_cast<std::size_t>(ASN1_STRING_length(value)));
    spec.wishes.extra.push_back({oid, X509_EXTENSION_get_critical(extension) == 1, to_bytes(der)});
  }
  return spec;
}

std::optional<std::string> too_long_lifetime(const CertificateFacts& facts) {
  // Both ends count (RFC 5280, 4.1.2.5).
  const std::time_t seconds = facts.not_after - facts.not_before + 1;
  const auto& purposes = facts.extensions.extended_key_usage;
  for (const Limit& limit : kLimits) {
    if (facts.is_ca || facts.not_before < limit.from) continue;
    if (std::find(purposes.begin(), purposes.end(), limit.purpose) == purposes.end()) continue;
    if (seconds <= limit.days * kDay) return std::nullopt;
    return fmt::format("it lasts {} days; the CA/Browser Forum allows {} ({}) on its day of issue",
                       (seconds + kDay - 1) / kDay, limit.days, limit.purpose);
  }
  return std::nullopt;
}

}  // namespace hsmith::x509
