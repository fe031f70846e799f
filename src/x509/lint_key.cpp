#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <utility>

#include "src/x509/lint.h"
#include "src/x509/lint_parts.h"
#include "src/x509/weak_keys.h"

namespace hsmith::x509 {
namespace {

void lint_size(std::string_view type, int bits, int least, const Profile& profile,
               Findings& findings) {
  if (bits < least) {
    add_finding(findings, Severity::error, "key_too_small",
                fmt::format("the profile {} needs a key of {} bits, {} has {}", profile.name, least,
                            type, bits));
  }
}

// A type of keys that the profile takes: "rsa:3072".
std::string a_type(const Profile& profile) {
  const bool rsa = contains(profile.key_types, "rsa");
  if (!rsa && contains(profile.key_types, "ed25519")) return "ed25519";
  return rsa ? fmt::format("rsa:{}", std::max(profile.rsa_bits, 2048))
             : fmt::format("ec:p{}", std::max(profile.ec_bits, 256));
}

void lint_type(ossl::KeyAlgorithm algorithm, std::string_view type, int bits,
               const Profile& profile, Findings& findings) {
  static constexpr std::array<std::pair<ossl::KeyAlgorithm, std::string_view>, 3> kNames{{
      {ossl::KeyAlgorithm::rsa, "rsa"},
      {ossl::KeyAlgorithm::ec, "ec"},
      {ossl::KeyAlgorithm::ed25519, "ed25519"},
  }};
  const bool allowed = std::any_of(kNames.begin(), kNames.end(), [&](const auto& one) {
    return one.first == algorithm && contains(profile.key_types, one.second);
  });
  if (!allowed) {
    add_finding(findings, Severity::error, "key_type_not_allowed",
                fmt::format("the profile {} takes keys of the type {}, not {}", profile.name,
                            fmt::join(profile.key_types, ", "), type));
    findings.back().hint = "another key can be made for the request: --key-type " + a_type(profile);
  } else if (algorithm == ossl::KeyAlgorithm::rsa) {
    lint_size(type, bits, profile.rsa_bits, profile, findings);
    if (profile.rsa_bits_most > 0 && bits > profile.rsa_bits_most) {
      add_finding(findings, Severity::error, "key_too_large",
                  fmt::format("the profile {} takes keys of {} bits at most, {} has {}",
                              profile.name, profile.rsa_bits_most, type, bits));
    }
  } else if (algorithm == ossl::KeyAlgorithm::ec) {
    lint_size(type, bits, profile.ec_bits, profile, findings);
  }
}

}  // namespace

bool is_known(const EVP_PKEY* key) {
  return EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "EC") == 1 ||
         EVP_PKEY_is_a(key, "ED25519") == 1;
}

std::vector<Finding> lint_key(const EVP_PKEY* key, const Profile* profile) {
  Findings findings = key_weaknesses(key);
  if (profile == nullptr) return findings;
  if (is_known(key)) {
    lint_type(ossl::algorithm_of(key), ossl::key_type_name(key), EVP_PKEY_get_bits(key), *profile,
              findings);
  } else {
    add_finding(findings, Severity::error, "key_type_not_allowed",
                fmt::format("the profile {} takes no keys of the type {}", profile->name,
                            ossl::key_type_name(key)));
  }
  return findings;
}

std::vector<Finding> lint_key_type(const ossl::KeyType& type, const Profile& profile) {
  Findings findings;
  lint_type(type.algorithm, type.name, type.bits, profile, findings);
  return findings;
}

}  // namespace hsmith::x509
