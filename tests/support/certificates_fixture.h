// Certificates made for one test, with software keys.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "src/ossl/handles.h"
#include "tests/support/memory_key.h"

namespace hsmith::tests {

// 2030-01-01T00:00:00Z: the moment at which the tests look at their certificates.
inline constexpr std::time_t kNow = 1893456000;
inline constexpr std::time_t kDay = 86400;

struct CertificateSpec {
  std::string subject = "CN=www.example.com,O=Example Ltd,C=HK";
  std::vector<std::string> names;  // "dns:www.example.com"
  std::string key_usage;
  std::string extended_key_usage;
  bool authority = false;
  std::time_t not_before = kNow - 10 * kDay;
  std::time_t not_after = kNow + 10 * kDay;
  std::string extra;  // "nameConstraints = permitted;DNS:example.com", as openssl.cnf has it
};

// A certificate together with its key.
struct Identity {
  std::shared_ptr<MemoryKey> key;
  ossl::Certificate certificate;
};

// Signed by `issuer`, or by itself when that is null. Keys are P-256.
Identity issue(const CertificateSpec& spec, const Identity* issuer);
// The same for a key that exists.
ossl::Certificate certify(const CertificateSpec& spec, std::shared_ptr<MemoryKey> key,
                          const Identity* issuer);

// A self-signed authority.
Identity root(const std::string& subject = "CN=Test Root,O=Example Ltd,C=HK");
// One below another.
Identity authority(const std::string& subject, const Identity& issuer);

}  // namespace hsmith::tests
