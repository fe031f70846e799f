// The keys that Debian's OpenSSL made from 2006 to 2008 (CVE-2008-0166), as lists.
#pragma once

#include <string>
#include <vector>

#include "src/ossl/handles.h"
#include "src/x509/finding.h"

namespace hsmith::x509 {

// Where the package openssl-blacklist puts its lists: blacklist.RSA-<bits>, a line for each key.
inline constexpr const char* kWeakKeyLists = "/usr/share/openssl-blacklist";

// Looks an RSA key up in the list for its size in `folder`: an error when it is there, a notice
// when there is no such list. Other keys were not made so: nothing. Throws io, malformed.
std::vector<Finding> debian_weakness(const EVP_PKEY* key, const std::string& folder);

}  // namespace hsmith::x509
