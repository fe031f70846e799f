#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/path.h"
#include "tests/support/shared_data.h"

namespace hsmith::x509 {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The cases of a conformance collection that answer otherwise than it expects.
class Collection : public ::testing::Test {
 protected:
  // Cases that need revocation lists are left out; so is a rejection that may need one.
  std::vector<std::string> differing(const std::string& name) {
    const auto folder = tests::shared_data("data/conformance") / name;
    std::ifstream file(folder / "cases.json");
    if (!file) return {"absent"};
    std::vector<std::string> ids;
    for (const auto& one : nlohmann::json::parse(file)) {
      const auto& options = one.at("options");
      const bool decided = one.at("crls").empty() || one.at("expect") == "accept";
      const bool offered =
          decided && !options.contains("allow_proxy_certificates") && !options.contains("sm2_id");
      if (offered && answer(folder, one) != one.at("expect")) ids.push_back(one.at("id"));
    }
    return ids;
  }

 private:
  static std::vector<ossl::Certificate> read(const std::filesystem::path& folder,
                                             const nlohmann::json& files) {
    std::vector<ossl::Certificate> all;
    for (const auto& file : files) {
      const std::string path = (folder / file.get<std::string>()).string();
      for (auto& one : read_certificates(read_file(path), path)) all.push_back(std::move(one));
    }
    return all;
  }

  static std::string answer(const std::filesystem::path& folder, const nlohmann::json& one) {
    const auto& given = one.at("options");
    PathOptions options;
    options.time = parse_time(one.at("time").get<std::string>()).value();
    const std::string purpose = one.at("purpose");
    if (!purpose.empty()) options.purpose = purpose_named(purpose);
    options.host = one.at("host");
    if (given.contains("max_depth")) options.max_depth = given.at("max_depth").get<int>();
    if (given.contains("security_level"))
      options.security_level = given.at("security_level").get<int>();
    options.partial_chain = given.value("partial_chain", false);
    options.strict = given.value("strict", false);
    options.explicit_policy = given.value("explicit_policy", false);
    options.inhibit_mapping = given.value("inhibit_mapping", false);
    options.inhibit_any = given.value("inhibit_any", false);
    options.policies = given.value("policy", std::vector<std::string>());
    options.emails = given.value("email", std::vector<std::string>());
    try {
      const auto leaf = read(folder, nlohmann::json::array({one.at("leaf")}));
      return verify_path(leaf.at(0).get(), read(folder, one.at("untrusted")),
                         read(folder, one.at("trust")), options)
                     .ok
                 ? "accept"
                 : "reject";
    } catch (const Error& error) {
      return error.kind() == Kind::malformed ? "reject" : error.what();
    }
  }
};

TEST_F(Collection, OpensslVerifyAnswersAsExpected) {
  const auto ids = differing("openssl-verify");
  if (ids == std::vector<std::string>{"absent"}) GTEST_SKIP() << "skipped: no conformance data";
  EXPECT_THAT(ids, IsEmpty());
}

TEST_F(Collection, LimboDiffersOnlyWhereAStricterOptionDecides) {
  const auto ids = differing("x509-limbo");
  if (ids == std::vector<std::string>{"absent"}) GTEST_SKIP() << "skipped: no conformance data";
  EXPECT_THAT(
      ids,
      ElementsAre(
          // What authorities and anchors must look like is checked with `strict` only.
          "rfc5280::pc::ica-noncritical-pc", "rfc5280::ski::root-missing-ski",
          "rfc5280::root-missing-basic-constraints", "rfc5280::root-non-critical-basic-constraints",
          // Wants an intermediate to be an anchor: `partial_chain`.
          "rfc5280::root-and-intermediate-swapped",
          // Rules of the CA/Browser Forum: `strict`.
          "webpki::cn::ipv6-uppercase-mismatch", "webpki::cn::not-in-san",
          "webpki::cn::case-mismatch", "webpki::eku::root-has-eku",
          // Needs the list of public suffixes.
          "webpki::san::public-suffix-private-namespace-wildcard-san", "webpki::forbidden-dsa-root",
          "webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf"));
}

TEST_F(Collection, PkitsAcceptsEveryValidPath) {
  const auto ids = differing("pkits");
  if (ids == std::vector<std::string>{"absent"}) GTEST_SKIP() << "skipped: no conformance data";
  // DSA with SHA-1 is below the security level, and OpenSSL 3.0 inherits no DSA parameters.
  EXPECT_THAT(ids, ElementsAre("Section1ValidDSASignaturesTest4",
                               "Section1ValidDSAParameterInheritanceTest5"));
}

}  // namespace
}  // namespace hsmith::x509
