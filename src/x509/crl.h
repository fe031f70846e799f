// Certificate revocation lists (RFC 5280, 5): read, described, verified.
#pragma once

#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"
#include "src/x509/path.h"

namespace hsmith::x509 {

// All lists of a file: PEM (several, text between them), DER, PKCS#7. At least one. Throws
// malformed, naming `input` and what it holds instead.
std::vector<ossl::Crl> read_crls(ByteView content, std::string_view input);

// One DER list and nothing after it. Throws malformed.
ossl::Crl crl_from_der(ByteView der, std::string_view input);

Bytes crl_der(X509_CRL* crl);
std::string crl_sha256(X509_CRL* crl);

struct CrlFacts {
  std::string issuer;       // RFC 4514
  std::string number;       // hex; "" when absent
  std::string base_number;  // hex, of a delta list: the list that it completes; else ""
  std::time_t this_update = 0;
  std::optional<std::time_t> next_update;
  std::size_t entries = 0;
  std::string scope;      // "all", "users", "authorities" (an ARL) or "attributes"
  bool indirect = false;  // names certificates of other issuers too
  bool some_reasons = false;
  std::string signature_algorithm;
};
// Throws malformed for a time or an extension that cannot be read.
CrlFacts crl_facts(X509_CRL* crl);

// What makes a list unusable whoever signed it: no next update, an extension that is unknown and
// critical, damaged or there twice, a signature below the security level (as OpenSSL counts, 0 to
// 5). "" when there is nothing.
std::string crl_defect(X509_CRL* crl, int security_level);

// True when `issuer` bears the list's issuer name, may sign lists, and signed this one.
bool signed_crl(X509_CRL* crl, X509* issuer);

// What stands between a list and belief: defects, dates, no issuer among the certificates, or the
// problems of the issuer's own path. Empty: it may be believed at `options.time`.
std::vector<std::string> crl_problems(X509_CRL* crl, std::span<const ossl::Certificate> untrusted,
                                      std::span<const ossl::Certificate> anchors,
                                      const PathOptions& options);

// When and why a list revokes a certificate: "2026-03-15T00:00:00Z (keyCompromise)". nullopt: it
// does not list it, or lists it as removed.
std::optional<std::string> revocation_in(X509_CRL* crl, X509* certificate);

}  // namespace hsmith::x509
