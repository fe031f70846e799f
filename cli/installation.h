// Installing certificates: what `request complete` and `cert install` have in common.
#pragma once

#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/context.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {

struct InstallOptions {
  std::vector<std::string> files;
  std::vector<std::string> chain;
  std::string trust;
  std::vector<std::string> crls;
  std::string login_as = "user";
};

// Throws refused for what nobody should install: expired, not valid yet (by more than the clocks of
// two machines differ), or with a critical extension that no program knows.
void check_usable(X509* certificate, const x509::CertificateFacts& facts);

void add_install_options(Arguments& command, InstallOptions& options);

// Reads the files (PEM, DER, PKCS#7, several in any order), finds the key of each certificate by
// public key, checks everything, and only then installs. Doing it again changes nothing.
Outcome install_certificates(const InstallOptions& options, Context& context);

}  // namespace hsmith::cli
