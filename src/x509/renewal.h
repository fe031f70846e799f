// Renewing a certificate: what its successor's request asks for, and how long it may last.
#pragma once

#include <optional>
#include <string>

#include "src/x509/certificate.h"
#include "src/x509/request.h"

namespace hsmith::x509 {

// The certificate's subject, names, usages and further extensions, less those that only the
// authority writes (its own identifiers and addresses, policies, timestamps of logs).
RequestSpec renewal_spec(X509* certificate);

// Why the certificate lasts longer than the CA/Browser Forum allowed on the day of its issue for
// its purpose (server, code signing, email); nullopt when it does not.
std::optional<std::string> too_long_lifetime(const CertificateFacts& facts);

}  // namespace hsmith::x509
