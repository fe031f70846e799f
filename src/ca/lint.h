// A certificate before it is issued: what RFC 5280 and its readers would take amiss.
#pragma once

#include <vector>

#include "src/ossl/handles.h"
#include "src/x509/finding.h"

namespace hsmith::ca {

// The form of a new certificate: numbers, times, algorithms, extensions, and whether they fit its
// key. `issuer` is null for a self-signed one. Signatures are not looked at.
std::vector<x509::Finding> lint_certificate(X509* certificate, X509* issuer);

}  // namespace hsmith::ca
