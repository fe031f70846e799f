// Names of files, one for each certificate.
#pragma once

#include <openssl/x509.h>
#include <string>
#include <vector>

namespace hsmith::cli {

// Its serial number. Two authorities may give out the same one: then all that have it are followed
// by "-" and the first 16 digits of their certificate's SHA-256. Only a certificate that is there
// twice has one name twice.
std::vector<std::string> serial_names(const std::vector<X509*>& certificates);

}  // namespace hsmith::cli
