#include "src/x509/weak_keys.h"

#include <cstdlib>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "src/base/files.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/request.h"
#include "src/x509/weak_key_list.h"
#include "tests/support/memory_key.h"
#include "tests/support/shared_data.h"
#include "tests/support/temporary_folder.h"

namespace hsmith::x509 {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> codes_of(const EVP_PKEY* key) {
  std::vector<std::string> codes;
  for (const Finding& finding : key_weaknesses(key)) codes.push_back(finding.code);
  return codes;
}

ossl::BigNumber from_hex(const std::string& digits) {
  BIGNUM* number = nullptr;
  BN_hex2bn(&number, digits.c_str());
  return ossl::BigNumber(number);
}

Bytes bytes_of(const BIGNUM* number) {
  Bytes bytes(static_cast<std::size_t>(BN_num_bytes(number)));
  BN_bn2bin(number, bytes.data());
  return bytes;
}

// Straight through OpenSSL: ossl::rsa_public_key refuses some of these itself.
ossl::PKey rsa_key(const BIGNUM* n, const BIGNUM* e) {
  const std::unique_ptr<OSSL_PARAM_BLD, ossl::Deleter<OSSL_PARAM_BLD_free>> build(
      OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(build.get(), "n", n);
  OSSL_PARAM_BLD_push_BN(build.get(), "e", e);
  const ossl::Params params(OSSL_PARAM_BLD_to_param(build.get()));
  const ossl::PKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  EXPECT_EQ(EVP_PKEY_fromdata_init(context.get()), 1);
  EXPECT_EQ(EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()), 1);
  return ossl::PKey(key);
}

std::vector<std::string> rsa_codes(const BIGNUM* n, const std::string& e = "010001") {
  return codes_of(rsa_key(n, from_hex(e).get()).get());
}

ossl::BigNumber random_prime(int bits) {
  ossl::BigNumber prime(BN_new());
  EXPECT_EQ(BN_generate_prime_ex(prime.get(), bits, 0, nullptr, nullptr, nullptr), 1);
  return prime;
}

ossl::BigNumber product(const BIGNUM* a, const BIGNUM* b) {
  ossl::BigNumber result(BN_new());
  BN_CTX* context = BN_CTX_new();
  EXPECT_EQ(BN_mul(result.get(), a, b, context), 1);
  BN_CTX_free(context);
  return result;
}

TEST(WeakKeys, AreNotFoundAmongSoundOnes) {
  for (const char* type : {"rsa:2048", "ec:p256", "ec:p384", "ec:p521", "ed25519"}) {
    EXPECT_THAT(codes_of(tests::generate_software_key(type).get()), IsEmpty()) << type;
  }
}

TEST(WeakKeys, AreThoseThatAreTooSmall) {
  const ossl::PKey rsa(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{1024}));
  EXPECT_THAT(codes_of(rsa.get()), ElementsAre("rsa_too_small"));
  const ossl::PKey ec(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-192"));
  EXPECT_THAT(codes_of(ec.get()), ElementsAre("ec_too_small"));
}

TEST(WeakKeys, AreThoseWithABadExponent) {
  const ossl::PKey sound = tests::generate_software_key("rsa:2048");
  BIGNUM* modulus = nullptr;
  ASSERT_EQ(EVP_PKEY_get_bn_param(sound.get(), "n", &modulus), 1);
  const ossl::BigNumber n(modulus);
  EXPECT_THAT(rsa_codes(n.get(), "01"), ElementsAre("rsa_exponent_invalid"));
  EXPECT_THAT(rsa_codes(n.get(), "010000"), ElementsAre("rsa_exponent_invalid"));
  EXPECT_THAT(rsa_codes(n.get(), hex(bytes_of(n.get()))), ElementsAre("rsa_exponent_invalid"));
  EXPECT_THAT(rsa_codes(n.get(), "03"), ElementsAre("rsa_exponent_small"));
  EXPECT_THAT(rsa_codes(n.get(), std::string(66, 'f')), ElementsAre("rsa_exponent_large"));
}

TEST(WeakKeys, AreThoseWithClosePrimes) {
  const ossl::BigNumber p = random_prime(1024);
  const ossl::BigNumber q(BN_dup(p.get()));
  const ossl::BigNumber remainder(BN_new());
  do {
    BN_add_word(q.get(), 2);
  } while (BN_check_prime(q.get(), nullptr, nullptr) != 1);
  EXPECT_THAT(rsa_codes(product(p.get(), q.get()).get()), ElementsAre("rsa_close_primes"));
  EXPECT_THAT(rsa_codes(product(p.get(), p.get()).get()), ElementsAre("rsa_close_primes"));
}

TEST(WeakKeys, AreThoseWithASmallFactor) {
  const ossl::BigNumber p = random_prime(2040);
  for (const BN_ULONG factor : {3u, 53u, 59u, 257u, 32749u, 65519u, 65521u}) {
    const ossl::BigNumber small(BN_new());
    BN_set_word(small.get(), factor);
    EXPECT_THAT(rsa_codes(product(p.get(), small.get()).get()), Contains("rsa_small_factors"))
        << factor;
  }
}

TEST(WeakKeys, AreNotLookedIntoWhenTheyAreHuge) {
  const ossl::BigNumber n(BN_new());
  BN_set_bit(n.get(), 16385);
  BN_add_word(n.get(), 1);
  EXPECT_THAT(rsa_codes(n.get()), ElementsAre("rsa_too_large"));
}

TEST(WeakKeys, LeaveOtherTypesToOthers) {
  const ossl::PKey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  const auto findings = key_weaknesses(key.get());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].severity, Severity::notice);
}

// The key of a file of the collection; null when it is of a form that is not read here.
ossl::PKey key_of_file(const std::filesystem::path& file) {
  const Bytes content = read_file(file);
  const std::string_view text = as_text(content);
  if (file.extension() == ".txt") {
    const std::string_view number = trim(text);
    const std::string digits(number.substr(number.rfind("0x", 0) == 0 ? 2 : 0));
    const ossl::BigNumber n = from_hex(digits);
    return rsa_key(n.get(), from_hex("010001").get());
  }
  if (text.find("CERTIFICATE REQUEST") != std::string_view::npos) {
    return ossl::share(public_key_of(parse_request(content, file.string()).get()));
  }
  if (text.find("BEGIN CERTIFICATE") != std::string_view::npos || file.extension() == ".p7s") {
    return ossl::share(public_key_of(read_certificates(content, file.string())[0].get()));
  }
  const ossl::Bio bio(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  if (text.find("PRIVATE KEY") != std::string_view::npos) {
    return ossl::PKey(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  }
  return ossl::PKey(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
}

TEST(WeakKeys, AreFoundInTheCollection) {
  const auto folder = tests::shared_data("data/conformance/weak-keys");
  std::ifstream list(folder / "cases.json");
  if (!list) GTEST_SKIP() << "skipped: no conformance data at " << folder;
  const std::map<std::string, std::string> codes{{"invalid exponent", "rsa_exponent_invalid"},
                                                 {"small factors", "rsa_small_factors"},
                                                 {"patterned modulus", "rsa_patterned_modulus"},
                                                 {"roca", "roca"}};
  int judged = 0;
  for (const auto& one : nlohmann::json::parse(list)) {
    const std::string id = one.at("id");
    if (one.at("expect") != "weak" && one.at("expect") != "good") continue;
    const ossl::PKey key = key_of_file(folder / one.at("file").get<std::string>());
    ossl::clear_errors();
    if (key == nullptr) continue;  // a form or an algorithm that OpenSSL 3.0 does not read
    ++judged;
    std::vector<std::string> found = codes_of(key.get());
    found.erase(std::remove(found.begin(), found.end(), "rsa_too_small"), found.end());
    if (one.at("expect") == "weak") {
      EXPECT_THAT(found, Contains(codes.at(one.at("weakness")))) << id;
    } else {
      EXPECT_THAT(found, ::testing::Not(Contains(::testing::AnyOf("roca", "rsa_small_factors",
                                                                  "rsa_patterned_modulus"))))
          << id;
    }
  }
  EXPECT_GE(judged, 14);
}

// The list's form is that of the package openssl-blacklist; its own line for a key is made here
// with the program that made the package's: openssl rsa -modulus | sha1sum.
TEST(WeakKeys, AreFoundInDebiansLists) {
  const tests::TemporaryFolder folder;
  const ossl::PKey key = tests::generate_software_key("rsa:2048");
  const auto codes = [&](const EVP_PKEY* of) {
    std::vector<std::string> found;
    for (const Finding& one : debian_weakness(of, folder.path().string()))
      found.push_back(one.code);
    return found;
  };
  EXPECT_THAT(codes(key.get()), ElementsAre("debian_not_checked"));
  folder.write("blacklist.RSA-2048", "# a comment\n00000000000000000000\n");
  EXPECT_THAT(codes(key.get()), IsEmpty());

  BIGNUM* modulus = nullptr;
  ASSERT_EQ(EVP_PKEY_get_bn_param(key.get(), "n", &modulus), 1);
  const ossl::BigNumber owned(modulus);
  const std::unique_ptr<char, ossl::Deleter<ossl::free_openssl>> digits(BN_bn2hex(modulus));
  folder.write("modulus", "Modulus=" + std::string(digits.get()) + "\n");
  const std::string list = folder / "blacklist.RSA-2048";
  const std::string command =
      "sha1sum < " + (folder / "modulus") + " | cut -c21-40 | tr a-f A-F >> " + list;
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_THAT(codes(key.get()), ElementsAre("debian_weak"));
  EXPECT_THAT(codes(tests::generate_software_key("ec:p256").get()), IsEmpty());
}

}  // namespace
}  // namespace hsmith::x509
