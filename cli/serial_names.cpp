#include "cli/serial_names.h"

#include <map>

#include "src/x509/certificate.h"

namespace hsmith::cli {

std::vector<std::string> serial_names(const std::vector<X509*>& certificates) {
  std::vector<x509::CertificateFacts> all;
  std::map<std::string, int> times;
  for (X509* certificate : certificates) {
    all.push_back(x509::certificate_facts(certificate));
    ++times[all.back().serial];
  }
  std::vector<std::string> names;
  for (const auto& facts : all) {
    const bool is_alone = times[facts.serial] == 1;
    names.push_back(is_alone ? facts.serial : facts.serial + "-" + facts.sha256.substr(0, 16));
  }
  return names;
}

}  // namespace hsmith::cli
