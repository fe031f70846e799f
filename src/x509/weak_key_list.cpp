#include "src/x509/weak_key_list.h"

#include <filesystem>
#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "src/base/bytes.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"

namespace hsmith::x509 {
namespace {

// What the lists hold of a key: the last 20 digits of the SHA-1 of what `openssl rsa -modulus`
// prints.
std::string listed_as(const EVP_PKEY* key) {
  BIGNUM* number = nullptr;
  ossl::check(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &number) == 1,
              "read the modulus of an RSA key", Kind::malformed);
  const ossl::BigNumber modulus(number);
  const std::unique_ptr<char, ossl::Deleter<ossl::free_openssl>> digits(
      ossl::check_ptr(BN_bn2hex(modulus.get()), "print a modulus"));
  const std::string printed = fmt::format("Modulus={}\n", digits.get());
  return hex(ossl::digest(ossl::digest_named("sha1"), as_bytes(printed))).substr(20);
}

}  // namespace

std::vector<Finding> debian_weakness(const EVP_PKEY* key, const std::string& folder) {
  if (EVP_PKEY_is_a(key, "RSA") != 1) return {};
  const std::string file = fmt::format("{}/blacklist.RSA-{}", folder, EVP_PKEY_get_bits(key));
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    return {{Severity::notice, "debian_not_checked",
             fmt::format("the key was not looked up among those that Debian's OpenSSL made until "
                         "2008 (CVE-2008-0166): {} is not there",
                         printable(file))}};
  }
  const std::string wanted = listed_as(key);
  const Bytes content = read_file(file);
  for (const std::string& line : split(as_text(content), '\n')) {
    if (lower(trim(line)) != wanted) continue;
    return {{Severity::error, "debian_weak",
             "the RSA key is one of the few that Debian's broken OpenSSL could make until 2008 "
             "(CVE-2008-0166)"}};
  }
  return {};
}

}  // namespace hsmith::x509
