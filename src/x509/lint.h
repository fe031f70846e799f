// What an authority would refuse, said before it is asked.
#pragma once

#include <vector>

#include "src/ossl/algorithms.h"
#include "src/x509/extensions.h"
#include "src/x509/finding.h"
#include "src/x509/profile.h"
#include "src/x509/request.h"

namespace hsmith::x509 {

// A request against what every authority refuses and, unless null, against a profile.
std::vector<Finding> lint_request(X509_REQ* request, const Profile* profile);

// Subject and wishes alone, before there is a key or a signature.
std::vector<Finding> lint_spec(const RequestSpec& spec, const Profile* profile);

// The public key: weak numbers, and what the profile permits.
std::vector<Finding> lint_key(const EVP_PKEY* key, const Profile* profile);

// A key type against a profile, before a key of it is made.
std::vector<Finding> lint_key_type(const ossl::KeyType& type, const Profile& profile);

}  // namespace hsmith::x509
