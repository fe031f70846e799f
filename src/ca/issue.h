// What an authority makes of a request: a profile decides.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/ca/certificate.h"
#include "src/ca/store.h"
#include "src/x509/profile.h"

namespace hsmith::ca {

// A certificate that is about to be made. The key of the content, and its subject unless it is
// `subject`, belong to the request.
struct Draft {
  Content content;
  ossl::Name subject;
  std::vector<std::string> notices;
};

// What becomes of a request under a profile: names and usages come from it as far as the profile
// allows them. Throws refused, naming all that it does not allow, whatever is weak or unsigned, a
// key that is the authority's own or was revoked as compromised, purposes that the authority's
// certificate excludes, and a life longer than the profile's or the authority's. Without `days` it
// is the profile's, cut to the authority's end.
Draft draft_certificate(Database& store, X509_REQ* request, const x509::Profile& profile,
                        std::optional<int> days, std::time_t now);

inline constexpr const char* kExchangeProfile = "ca-exchange";

// A certificate to which keys on their way to an archive are encrypted: the authority's subject
// with "-Xchg" behind its CN ([MS-WCCE] 3.2.1.4.3.2.15.1). Throws refused as above.
Draft draft_exchange(Database& store, EVP_PKEY* key, const x509::Profile& profile, std::time_t now);
// The exchange certificate that is in force and longer than its last day, by the authority's key in
// service and for this key.
std::optional<Issued> exchange_in_force(Database& store, EVP_PKEY* key, std::time_t now);

// The first 16 hex digits of the SHA-256 of a key's SubjectPublicKeyInfo: what --approve repeats.
std::string approval_of(const EVP_PKEY* key);
// True for a profile by which nothing is issued without that approval: recovery agents.
bool needs_approval(const x509::Profile& profile);

// Whether a certificate in the last third of its life stands in the way of another one for its
// request. A renewal with the same RSA key is the same request, byte for byte: PKCS #1 v1.5 has
// nothing random in it (RFC 8017, 8.2).
enum class LastThird { may_be_renewed, counts };

// Throws exists when the request has a certificate that is neither expired nor revoked, with where
// it was written.
void refuse_second(Database& store, std::string_view request_sha256, std::time_t now,
                   LastThird last_third);

// The row of a certificate that was made from a draft.
Issued issued_from(X509* certificate, const Authority& authority, const x509::Profile& profile,
                   std::time_t now);

// Throws refused when the authority's certificate excludes purposes of the profile.
void check_purposes(X509* authority, const x509::Profile& profile);

}  // namespace hsmith::ca
