#include "src/ca/lint.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "src/base/contains.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "src/x509/public_key.h"
#include "src/x509/weak_keys.h"

namespace hsmith::ca {
namespace {

using x509::Severity;
using Findings = std::vector<x509::Finding>;

constexpr int kShortestSerial = 8;           // octets: 64 bits of chance
constexpr int kLongestSerial = 20;           // RFC 5280, 4.1.2.2
constexpr int kFirstGeneralizedYear = 2050;  // RFC 5280, 4.1.2.5

void add(Findings& findings, const char* code, std::string text) {
  findings.push_back({Severity::error, code, std::move(text)});
}

void lint_serial(X509* certificate, Findings& findings) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  const int octets = ASN1_STRING_length(serial);
  // A first octet from 0x80 on is preceded by a zero.
  const int encoded = octets + (octets > 0 && ASN1_STRING_get0_data(serial)[0] >= 0x80 ? 1 : 0);
  if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || octets < kShortestSerial ||
      encoded > kLongestSerial)
    add(findings, "serial_number", "the serial number is not positive and of 8 to 20 octets");
}

void lint_time(const ASN1_TIME* time, const char* what, Findings& findings) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(time, &utc) != 1) {
    add(findings, "time_malformed", fmt::format("the time {} cannot be read", what));
    return;
  }
  const bool general = utc.tm_year + 1900 >= kFirstGeneralizedYear;
  if (ASN1_STRING_type(time) != (general ? V_ASN1_GENERALIZEDTIME : V_ASN1_UTCTIME))
    add(findings, "time_form", fmt::format("the time {} is not in the form of its year", what));
}

void lint_validity(X509* certificate, X509* issuer, Findings& findings) {
  const ASN1_TIME* begin = X509_get0_notBefore(certificate);
  const ASN1_TIME* end = X509_get0_notAfter(certificate);
  lint_time(begin, "notBefore", findings);
  lint_time(end, "notAfter", findings);
  if (ASN1_TIME_compare(begin, end) >= 0)
    add(findings, "validity_empty", "the validity ends before it begins");
  if (issuer != nullptr && ASN1_TIME_compare(end, X509_get0_notAfter(issuer)) > 0)
    add(findings, "validity_beyond_issuer", "the validity ends after the issuer's");
}

void lint_algorithm(X509* certificate, Findings& findings) {
  const X509_ALGOR* outer = nullptr;
  X509_get0_signature(nullptr, &outer, certificate);
  if (X509_ALGOR_cmp(outer, X509_get0_tbs_sigalg(certificate)) != 0)
    add(findings, "algorithms_differ", "the two signature algorithms differ");
  if (!x509::parameters_fit(outer))
    add(findings, "algorithm_parameters",
        "the signature algorithm has other parameters than its "
        "standard says");
  static const std::set<int> kBroken{NID_md2, NID_md4, NID_md5, NID_sha1, NID_ripemd160};
  if (kBroken.contains(x509::digest_nid_of(outer)))
    add(findings, "signature_digest_weak",
        fmt::format("it is signed with a broken digest ({})", x509::algorithm_name(outer)));
}

void lint_names(X509* certificate, X509* issuer, const x509::ExtensionFacts& facts,
                Findings& findings) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const X509_NAME* issued_by = issuer == nullptr ? subject : X509_get_subject_name(issuer);
  if (!x509::same_encoding(X509_get_issuer_name(certificate), issued_by))
    add(findings, "issuer_differs", "the issuer is not the authority's subject, byte for byte");
  const bool nameless = X509_NAME_entry_count(subject) == 0;
  if (nameless && (facts.names.empty() || !contains(facts.critical, "2.5.29.17")))
    add(findings, "no_name", "there is no subject, and no critical other name");
  const bool server =
      !facts.is_ca.value_or(false) && contains(facts.extended_key_usage, "serverAuth");
  const bool host = std::any_of(facts.names.begin(), facts.names.end(), [](const auto& name) {
    return name.kind == x509::AltNameKind::dns || name.kind == x509::AltNameKind::ip;
  });
  if (server && !host)
    add(findings, "name_missing", "a server needs a domain name or an address among its names");
}

// RFC 5280, 4.2.1.9; 4.2.1.3.
void lint_authority(const x509::ExtensionFacts& facts, Findings& findings) {
  const bool authority = facts.is_ca.value_or(false);
  const bool signs = contains(facts.key_usage, "keyCertSign");
  if (authority && (!contains(facts.critical, "2.5.29.19") || !signs))
    add(findings, "authority_form",
        "an authority needs critical basicConstraints and the key usage keyCertSign");
  if (!authority && (signs || facts.path_length))
    add(findings, "authority_form", "what only an authority may have is in another certificate");
}

// RFC 3279, 2.3; RFC 5480, 3; RFC 8410, 5.
void lint_key_usage(X509* certificate, const x509::ExtensionFacts& facts, Findings& findings) {
  if (facts.key_usage.empty()) add(findings, "key_usage_missing", "there is no key usage");
  const auto algorithm = ossl::algorithm_of(X509_get0_pubkey(certificate));
  std::vector<std::string> unfit{"keyEncipherment", "dataEncipherment"};
  if (algorithm == ossl::KeyAlgorithm::rsa)
    unfit = {"keyAgreement", "encipherOnly", "decipherOnly"};
  if (algorithm == ossl::KeyAlgorithm::ed25519) unfit.emplace_back("keyAgreement");
  for (const std::string& usage : facts.key_usage) {
    if (contains(unfit, usage))
      add(findings, "key_usage_unfit",
          fmt::format("the key usage {} is nothing for a key of its type", usage));
  }
}

// RFC 5280, 4.2.1.1 and 4.2.1.2.
void lint_key_ids(X509* certificate, X509* issuer, const x509::ExtensionFacts& facts,
                  Findings& findings) {
  if (facts.subject_key_id != hex(ossl::key_identifier(X509_get0_pubkey(certificate))))
    add(findings, "subject_key_id", "the subjectKeyIdentifier is not that of its key");
  if (issuer == nullptr) return;
  const ASN1_OCTET_STRING* id = X509_get0_subject_key_id(issuer);
  const std::string expected =
      id == nullptr
          ? ""
          : hex({ASN1_STRING_get0_data(id), static_cast<std::size_t>(ASN1_STRING_length(id))});
  if (facts.authority_key_id != expected)
    add(findings, "authority_key_id", "the authorityKeyIdentifier is not the issuer's");
}

}  // namespace

std::vector<x509::Finding> lint_certificate(X509* certificate, X509* issuer) {
  Findings findings;
  if (X509_get_version(certificate) != X509_VERSION_3)
    add(findings, "version", "it is not of version 3");
  lint_serial(certificate, findings);
  lint_validity(certificate, issuer, findings);
  lint_algorithm(certificate, findings);
  x509::ExtensionFacts facts;
  try {
    facts = x509::read_extensions(X509_get0_extensions(certificate));
  } catch (const Error& error) {
    add(findings, "extension_malformed", error.what());
    return findings;
  }
  lint_names(certificate, issuer, facts, findings);
  lint_authority(facts, findings);
  lint_key_usage(certificate, facts, findings);
  lint_key_ids(certificate, issuer, facts, findings);
  for (x509::Finding& weakness : x509::key_weaknesses(X509_get0_pubkey(certificate)))
    findings.push_back(std::move(weakness));
  return findings;
}

}  // namespace hsmith::ca
