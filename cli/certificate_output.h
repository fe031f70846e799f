// Certificates as text and JSON.
#pragma once

#include <string>

#include "cli/context.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {

Json certificate_json(const x509::CertificateFacts& facts);
std::string certificate_text(const x509::CertificateFacts& facts);

}  // namespace hsmith::cli
