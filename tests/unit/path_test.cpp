#include "src/x509/path.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/error.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "tests/support/certificates_fixture.h"
#include "tests/support/error_of.h"

namespace hsmith::x509 {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using tests::CertificateSpec;
using tests::error_of;
using tests::Identity;
using tests::kDay;
using tests::kNow;

CertificateSpec server_spec() {
  CertificateSpec spec;
  spec.names = {"dns:www.example.com", "ip:192.0.2.1"};
  spec.key_usage = "digitalSignature";
  spec.extended_key_usage = "serverAuth";
  return spec;
}

std::vector<ossl::Certificate> list(std::initializer_list<const Identity*> identities) {
  std::vector<ossl::Certificate> all;
  for (const Identity* one : identities) all.push_back(ossl::share(one->certificate.get()));
  return all;
}

std::vector<std::string> reasons(const Verdict& verdict) {
  std::vector<std::string> lines;
  for (const PathProblem& problem : verdict.problems) {
    lines.push_back(fmt::format("{} {}", problem.depth, problem.reason));
  }
  return lines;
}

class Paths : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = new Identity(tests::root());
    issuing_ = new Identity(tests::authority("CN=Issuing CA", *root_));
    leaf_ = new Identity(tests::issue(server_spec(), issuing_));
  }
  static void TearDownTestSuite() {
    delete root_;
    delete issuing_;
    delete leaf_;
  }

  static Verdict verify(PathOptions options = {}) { return verify_of(*leaf_, std::move(options)); }
  static Verdict verify_of(const Identity& leaf, PathOptions options = {}) {
    if (options.time == 0) options.time = kNow;
    return verify_path(leaf.certificate.get(), list({issuing_}), list({root_}), options);
  }
  static std::vector<std::string> reasons_of(const CertificateSpec& spec, PathOptions options) {
    return reasons(verify_of(tests::issue(spec, issuing_), std::move(options)));
  }

  static inline Identity* root_;
  static inline Identity* issuing_;
  static inline Identity* leaf_;
};

PathOptions for_purpose(Purpose purpose) {
  PathOptions options;
  options.purpose = purpose;
  return options;
}
PathOptions at(std::time_t time) {
  PathOptions options;
  options.time = time;
  return options;
}

TEST_F(Paths, LeadFromTheLeafToAnAnchor) {
  PathOptions options = for_purpose(Purpose::server);
  options.host = "WWW.example.com";
  const Verdict verdict = verify(options);
  EXPECT_TRUE(verdict.ok);
  EXPECT_THAT(reasons(verdict), IsEmpty());
  ASSERT_EQ(verdict.chain.size(), 3u);
  EXPECT_TRUE(same_certificate(verdict.chain[0].get(), leaf_->certificate.get()));
  EXPECT_TRUE(same_certificate(verdict.chain[2].get(), root_->certificate.get()));
  EXPECT_FALSE(verdict.revocation_checked);
}

TEST_F(Paths, NameTheIssuerThatIsMissing) {
  PathOptions options = at(kNow);
  const Verdict verdict = verify_path(leaf_->certificate.get(), {}, list({root_}), options);
  EXPECT_FALSE(verdict.ok);
  EXPECT_THAT(reasons(verdict),
              ElementsAre("0 its issuer \"CN=Issuing CA\" is not among the certificates given"));
  EXPECT_EQ(verdict.problems[0].subject, "CN=www.example.com,O=Example Ltd,C=HK");
}

TEST_F(Paths, TrustNothingThatWasOnlyGivenAsChain) {
  const Verdict verdict =
      verify_path(leaf_->certificate.get(), list({issuing_, root_}), {}, at(kNow));
  EXPECT_FALSE(verdict.ok);
  EXPECT_THAT(reasons(verdict),
              ElementsAre("2 it is self-signed and not among the trusted certificates"));
  const Identity other = tests::root("CN=Other");
  EXPECT_FALSE(
      verify_path(leaf_->certificate.get(), list({issuing_, root_}), list({&other}), at(kNow)).ok);
  EXPECT_FALSE(verify_path(root_->certificate.get(), list({root_}), {}, at(kNow)).ok);
  EXPECT_TRUE(verify_path(root_->certificate.get(), {}, list({root_}), at(kNow)).ok);
}

TEST_F(Paths, DoNotPassAnImpostorOfTheSameName) {
  const Identity impostor = tests::root();
  const Verdict verdict =
      verify_path(leaf_->certificate.get(), list({issuing_}), list({&impostor}), at(kNow));
  EXPECT_FALSE(verdict.ok);
}

TEST_F(Paths, EndAtAnIntermediateOnlyWhenAskedTo) {
  PathOptions options = at(kNow);
  EXPECT_FALSE(verify_path(leaf_->certificate.get(), {}, list({issuing_}), options).ok);
  options.partial_chain = true;
  EXPECT_TRUE(verify_path(leaf_->certificate.get(), {}, list({issuing_}), options).ok);
}

TEST_F(Paths, CountTheFirstAndTheLastSecondOfValidity) {
  const std::time_t first = kNow - 10 * kDay;
  const std::time_t last = kNow + 10 * kDay;
  EXPECT_TRUE(verify(at(first)).ok);
  EXPECT_TRUE(verify(at(last)).ok);
  EXPECT_THAT(reasons(verify(at(first - 1))),
              Contains("0 it is not valid before 2029-12-22T00:00:00Z"));
  EXPECT_THAT(reasons(verify(at(last + 1))),
              AllOf(Contains("0 it expired on 2030-01-11T00:00:00Z"),
                    Contains("1 it expired on 2030-01-11T00:00:00Z"),
                    Contains("2 it expired on 2030-01-11T00:00:00Z")));
}

TEST_F(Paths, AreCheckedForTheHostAmongTheNamesOnly) {
  const auto host = [](const char* name) {
    PathOptions options = for_purpose(Purpose::server);
    options.host = name;
    return options;
  };
  EXPECT_TRUE(verify(host("192.0.2.1")).ok);
  EXPECT_FALSE(verify(host("192.0.2.2")).ok);
  EXPECT_THAT(reasons(verify(host("mail.example.com"))), ElementsAre("0 hostname mismatch"));
  CertificateSpec wildcard = server_spec();
  wildcard.subject = "CN=Web server";
  wildcard.names = {"dns:*.example.com"};
  EXPECT_THAT(reasons_of(wildcard, host("a.example.com")), IsEmpty());
  EXPECT_THAT(reasons_of(wildcard, host("a.b.example.com")), ElementsAre("0 hostname mismatch"));
  EXPECT_THAT(reasons_of(wildcard, host("example.com")), ElementsAre("0 hostname mismatch"));
  wildcard.names = {"dns:xn--bcher-kva.example"};
  EXPECT_THAT(reasons_of(wildcard, host("bücher.example")), IsEmpty());
  CertificateSpec unnamed = server_spec();
  unnamed.names = {};
  EXPECT_THAT(reasons_of(unnamed, host("www.example.com")), ElementsAre("0 hostname mismatch"));
}

TEST_F(Paths, OfServersHaveACommonNameThatIsOneOfTheNames) {
  const PathOptions options = for_purpose(Purpose::server);
  CertificateSpec spec = server_spec();
  spec.names = {"dns:www.example.com", "ip:192.0.2.1"};
  for (const char* good : {"CN=www.example.com", "CN=192.0.2.1", "CN=Web server", "O=Example"}) {
    spec.subject = good;
    EXPECT_THAT(reasons_of(spec, options), IsEmpty()) << good;
  }
  for (const char* bad : {"CN=WWW.example.com", "CN=mail.example.com", "CN=192.0.2.2"}) {
    spec.subject = bad;
    EXPECT_THAT(reasons_of(spec, options), ElementsAre(HasSubstr("is not among its names"))) << bad;
    EXPECT_THAT(reasons_of(spec, for_purpose(Purpose::client)),
                Not(Contains(HasSubstr("common name"))));
  }
  spec.subject = "CN=example.com";
  spec.names = {"dns:*.example.com"};
  EXPECT_THAT(reasons_of(spec, options), IsEmpty());
}

TEST_F(Paths, AreCheckedForEachAddressOfMail) {
  CertificateSpec spec = server_spec();
  spec.names = {"email:a@example.com", "email:b@example.com"};
  spec.extended_key_usage = "emailProtection";
  PathOptions options = for_purpose(Purpose::email);
  options.emails = {"a@example.com", "b@example.com"};
  EXPECT_THAT(reasons_of(spec, options), IsEmpty());
  options.emails = {"a@example.com", "c@example.com"};
  EXPECT_THAT(reasons_of(spec, options), ElementsAre("0 it is not good for \"c@example.com\""));
}

TEST_F(Paths, AreHeldAgainstTheirPurpose) {
  const struct {
    Purpose purpose;
    const char* key_usage;
    const char* extended;
    bool ok;
  } cases[] = {
      {Purpose::server, "digitalSignature", "serverAuth", true},
      {Purpose::server, "digitalSignature", "clientAuth", false},
      {Purpose::client, "digitalSignature", "clientAuth", true},
      {Purpose::client, "digitalSignature", "serverAuth", false},
      {Purpose::email, "digitalSignature", "emailProtection", true},
      {Purpose::email, "keyEncipherment", "emailProtection", true},
      {Purpose::email, "digitalSignature", "serverAuth", false},
      {Purpose::codesign, "digitalSignature", "codeSigning", true},
      {Purpose::codesign, "digitalSignature", "", false},
      {Purpose::codesign, "keyEncipherment", "codeSigning", false},
      {Purpose::codesign, "digitalSignature", "anyExtendedKeyUsage", false},
      {Purpose::kra, "keyEncipherment", "kra", true},
      {Purpose::kra, "digitalSignature", "kra", false},
      {Purpose::kra, "keyEncipherment", "1.3.6.1.4.1.311.10.3.11", false},
      {Purpose::any, "keyAgreement", "clientAuth", true},
  };
  for (const auto& one : cases) {
    CertificateSpec spec = server_spec();
    spec.key_usage = one.key_usage;
    spec.extended_key_usage = one.extended;
    EXPECT_EQ(reasons_of(spec, for_purpose(one.purpose)).empty(), one.ok)
        << static_cast<int>(one.purpose) << " " << one.key_usage << " " << one.extended;
  }
}

TEST_F(Paths, AreHeldAgainstTheirAuthoritysPurpose) {
  CertificateSpec spec{.subject = "CN=Code CA",
                       .names = {},
                       .key_usage = "keyCertSign",
                       .extended_key_usage = "serverAuth",
                       .authority = true,
                       .extra = ""};
  const Identity code_ca = tests::issue(spec, root_);
  CertificateSpec leaf = server_spec();
  leaf.extended_key_usage = "codeSigning";
  const Identity signer = tests::issue(leaf, &code_ca);
  PathOptions options = for_purpose(Purpose::codesign);
  options.time = kNow;
  const Verdict verdict =
      verify_path(signer.certificate.get(), list({&code_ca}), list({root_}), options);
  EXPECT_THAT(reasons(verdict), ElementsAre("1 its extended key usage has not codeSigning"));
}

TEST_F(Paths, CountIntermediatesButNotSelfIssuedOnes) {
  PathOptions options = at(kNow);
  options.max_depth = 0;
  EXPECT_THAT(reasons(verify(options)), ElementsAre("1 more than 0 intermediate certificates"));
  options.max_depth = 1;
  EXPECT_TRUE(verify(options).ok);
  const Identity renewed = tests::authority("CN=Issuing CA", *issuing_);
  const Identity leaf = tests::issue(server_spec(), &renewed);
  EXPECT_TRUE(
      verify_path(leaf.certificate.get(), list({issuing_, &renewed}), list({root_}), options).ok);
}

TEST_F(Paths, KeepAHostOutOfWhatAnAuthorityMayNotName) {
  CertificateSpec spec{.subject = "CN=Limited",
                       .names = {},
                       .key_usage = "keyCertSign",
                       .extended_key_usage = "",
                       .authority = true,
                       .extra = "nameConstraints=critical,excluded;DNS:secret.example.com"};
  const Identity limited = tests::issue(spec, root_);
  CertificateSpec wildcard = server_spec();
  wildcard.subject = "CN=Web server";
  wildcard.names = {"dns:*.example.com"};
  const Identity leaf = tests::issue(wildcard, &limited);
  PathOptions options = at(kNow);
  options.host = "www.example.com";
  const auto anchors = list({root_});
  const auto between = list({&limited});
  EXPECT_TRUE(verify_path(leaf.certificate.get(), between, anchors, options).ok);
  options.host = "secret.example.com";
  EXPECT_THAT(reasons(verify_path(leaf.certificate.get(), between, anchors, options)),
              ElementsAre("1 it may not vouch for the host \"secret.example.com\""));
}

TEST_F(Paths, AreLookedForBesideTheFirstOne) {
  // Two roots certify the same authority; one of the two certificates has expired.
  const Identity other_root = tests::root("CN=Other Root");
  CertificateSpec spec{.subject = "CN=Crossed",
                       .names = {},
                       .key_usage = "keyCertSign",
                       .extended_key_usage = "",
                       .authority = true,
                       .extra = ""};
  const Identity crossed = tests::issue(spec, root_);
  spec.not_after = kNow - 1;
  const Identity expired{crossed.key, tests::certify(spec, crossed.key, &other_root)};
  const Identity leaf = tests::issue(server_spec(), &crossed);
  for (const auto& order : {std::pair{&crossed, &expired}, std::pair{&expired, &crossed}}) {
    const Verdict verdict = verify_path(leaf.certificate.get(), list({order.first, order.second}),
                                        list({root_, &other_root}), at(kNow));
    EXPECT_TRUE(verdict.ok);
    EXPECT_TRUE(same_certificate(verdict.chain.back().get(), root_->certificate.get()));
  }
}

TEST_F(Paths, DoNotGoAroundALimitAmongTheAnchors) {
  // The trust file holds the issuing authority for clients only; the chain brings it unlimited.
  CertificateSpec spec{.subject = "CN=Issuing CA",
                       .names = {},
                       .key_usage = "keyCertSign",
                       .extended_key_usage = "clientAuth",
                       .authority = true,
                       .extra = ""};
  const Identity limited{issuing_->key, tests::certify(spec, issuing_->key, root_)};
  PathOptions options = for_purpose(Purpose::server);
  options.time = kNow;
  EXPECT_FALSE(
      verify_path(leaf_->certificate.get(), list({issuing_}), list({root_, &limited}), options).ok);
}

TEST_F(Paths, AreFoundInABoundedTimeInAHostileHeap) {
  // Sixty authorities of one name that all certify each other's key, and no anchor.
  const Identity first = tests::root("CN=Same");
  std::vector<ossl::Certificate> heap;
  CertificateSpec spec{.subject = "CN=Same",
                       .names = {},
                       .key_usage = "keyCertSign",
                       .extended_key_usage = "",
                       .authority = true,
                       .extra = ""};
  for (int i = 0; i < 60; ++i) heap.push_back(tests::certify(spec, first.key, &first));
  const Identity leaf = tests::issue(server_spec(), &first);
  const std::clock_t start = std::clock();
  EXPECT_FALSE(verify_path(leaf.certificate.get(), heap, list({root_}), at(kNow)).ok);
  EXPECT_LT((std::clock() - start) / CLOCKS_PER_SEC, 5);
}

TEST_F(Paths, AreStrictOnlyWhenAskedTo) {
  CertificateSpec spec = server_spec();
  spec.subject = "CN=Our Server";
  PathOptions options = for_purpose(Purpose::server);
  EXPECT_THAT(reasons_of(spec, options), IsEmpty());
  options.strict = true;
  EXPECT_THAT(reasons_of(spec, options),
              Contains("0 its common name \"Our Server\" is not among its names"));
}

TEST_F(Paths, RefuseOptionsThatMakeNoSense) {
  const auto refusal = [&](auto change) {
    PathOptions options = at(kNow);
    change(options);
    const Error error = error_of([&] { verify(options); });
    EXPECT_EQ(error.kind(), Kind::usage);
    return std::string(error.what());
  };
  EXPECT_THAT(refusal([](PathOptions& o) { o.host = "*.example.com"; }), HasSubstr("no host name"));
  EXPECT_THAT(refusal([](PathOptions& o) { o.ip = "1.2.3"; }), HasSubstr("no IPv4 or IPv6"));
  EXPECT_THAT(refusal([](PathOptions& o) { o.policies = {"any"}; }), HasSubstr("no dotted OID"));
  EXPECT_THAT(refusal([](PathOptions& o) { o.security_level = 6; }), HasSubstr("0 to 5"));
  EXPECT_THAT(refusal([](PathOptions& o) { o.max_depth = -1; }), HasSubstr("negative"));
  EXPECT_THAT(refusal([](PathOptions& o) {
                o.host = "192.0.2.1";
                o.ip = "192.0.2.2";
              }),
              HasSubstr("they differ"));
}

TEST(Purposes, AreKnownByName) {
  EXPECT_EQ(purpose_named("codesign"), Purpose::codesign);
  const Error error = error_of([] { purpose_named("sever"); });
  EXPECT_EQ(error.kind(), Kind::usage);
  EXPECT_EQ(error.hint(), "did you mean server?");
}

}  // namespace
}  // namespace hsmith::x509
