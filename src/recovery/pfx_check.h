// What is right and wrong with the content of a PKCS#12 file.
#pragma once

#include <ctime>
#include <vector>

#include "src/recovery/pfx.h"
#include "src/x509/finding.h"

namespace hsmith::recovery {

// Each key is proved to fit each certificate that has its public key (pair_problem); a key without
// a certificate is an error too.
std::vector<x509::Finding> check_pairs(const Pfx& pfx);

// The same, and: certificates without a key that belong to no chain, what has expired, weak keys
// and weak protection.
std::vector<x509::Finding> check_pfx(const Pfx& pfx, const PfxProtection& protection,
                                     std::time_t now);

// Adds what `more` holds and `all` does not hold yet; of two names for one thing the first stays.
void merge_into(Pfx& all, Pfx&& more);

}  // namespace hsmith::recovery
