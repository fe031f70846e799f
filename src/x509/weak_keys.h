// Public keys that must not be trusted, by their numbers alone.
#pragma once

#include <vector>

#include "src/ossl/handles.h"
#include "src/x509/finding.h"

namespace hsmith::x509 {

// RSA: size, exponent, small factors, close primes (100 rounds of Fermat), the ROCA fingerprint
// (CVE-2017-15361), a modulus with a pattern. EC: curves below 224 bits. Key types that hsmith
// does not judge give a notice. Takes less than a second for any key; RSA above 16384 bits is an
// error unseen.
std::vector<Finding> key_weaknesses(const EVP_PKEY* key);

}  // namespace hsmith::x509
