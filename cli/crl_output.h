// A revocation list as commands describe it.
#pragma once

#include <ctime>
#include <string>

#include "cli/context.h"
#include "src/x509/crl.h"

namespace hsmith::cli {

// "current", "stale" or "not yet valid".
std::string crl_state(const x509::CrlFacts& facts, std::time_t now);

// "complete" or "delta", with its scope: "complete, authorities".
std::string crl_kind(const x509::CrlFacts& facts);

Json crl_json(X509_CRL* crl, const x509::CrlFacts& facts, std::time_t now);

}  // namespace hsmith::cli
