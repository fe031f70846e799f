#include "src/x509/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "tests/support/certificates_fixture.h"

namespace hsmith::x509 {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using tests::Identity;
using tests::kDay;
using tests::kNow;

using Certificates = std::vector<ossl::Certificate>;

std::vector<std::string> names_of(std::span<const ossl::Certificate> chain) {
  std::vector<std::string> names;
  for (const ossl::Certificate& one : chain)
    names.push_back(last_value(X509_get_subject_name(one.get()), "CN"));
  return names;
}

Certificates pool_of(std::initializer_list<X509*> list) {
  Certificates pool;
  for (X509* one : list) pool.push_back(ossl::share(one));
  return pool;
}

// The key of `of` certified by another authority.
ossl::Certificate cross(const Identity& of, const std::string& subject, const Identity& by,
                        std::time_t not_after = kNow + 10 * kDay) {
  return tests::certify({.subject = subject,
                         .key_usage = "keyCertSign,cRLSign",
                         .authority = true,
                         .not_after = not_after},
                        of.key, &by);
}

class Chain : public ::testing::Test {
 protected:
  Identity root_ = tests::root("CN=Root");
  Identity sub_ = tests::authority("CN=Sub", root_);
  Identity leaf_ = tests::issue({.subject = "CN=leaf"}, &sub_);
  Identity other_root_ = tests::root("CN=Other Root");
  ossl::Certificate cross_ = cross(root_, "CN=Root", other_root_);
};

TEST_F(Chain, HasOnePathForEachWayUp) {
  const Certificates pool =
      pool_of({other_root_.certificate.get(), cross_.get(), sub_.certificate.get(),
               root_.certificate.get(), sub_.certificate.get()});
  const IssuerPaths found = issuer_paths(leaf_.certificate.get(), pool, {});
  ASSERT_EQ(found.paths.size(), 2u);
  EXPECT_THAT(names_of(found.paths[0].chain), ElementsAre("leaf", "Sub", "Root"));
  EXPECT_THAT(names_of(found.paths[1].chain), ElementsAre("leaf", "Sub", "Root", "Other Root"));
  EXPECT_TRUE(found.paths[0].self_signed);
  EXPECT_FALSE(found.paths[0].anchored);
  EXPECT_FALSE(found.cut);
}

TEST_F(Chain, EndsAtAnAnchorAndPutsThosePathsFirst) {
  const Certificates pool = pool_of({cross_.get(), sub_.certificate.get()});
  const Certificates anchors = pool_of({other_root_.certificate.get()});
  const IssuerPaths found = issuer_paths(leaf_.certificate.get(), pool, anchors);
  ASSERT_EQ(found.paths.size(), 1u);
  EXPECT_TRUE(found.paths[0].anchored);
  EXPECT_THAT(names_of(found.paths[0].chain), ElementsAre("leaf", "Sub", "Root", "Other Root"));
}

TEST_F(Chain, NamesWhatItReachedWhereTheIssuerIsMissing) {
  const IssuerPaths found = issuer_paths(leaf_.certificate.get(), {}, {});
  ASSERT_EQ(found.paths.size(), 1u);
  EXPECT_FALSE(found.paths[0].self_signed);
  EXPECT_THAT(names_of(found.paths[0].chain), ElementsAre("leaf"));
}

TEST_F(Chain, IsNotMadeWithAnAuthorityOfTheSameNameOnly) {
  const Identity impostor = tests::authority("CN=Sub", root_);
  const Certificates pool = pool_of({impostor.certificate.get()});
  EXPECT_EQ(issuer_paths(leaf_.certificate.get(), pool, {}).paths[0].chain.size(), 1u);
}

TEST_F(Chain, EndsWhenCrossCertificatesPointAtEachOther) {
  const ossl::Certificate back = cross(other_root_, "CN=Other Root", root_);
  const Certificates pool = pool_of({cross_.get(), back.get(), sub_.certificate.get()});
  const IssuerPaths found = issuer_paths(leaf_.certificate.get(), pool, {});
  ASSERT_EQ(found.paths.size(), 1u);
  EXPECT_THAT(names_of(found.paths[0].chain), ElementsAre("leaf", "Sub", "Root", "Other Root"));
}

// Each of eight authorities certifies each: far more ways than anybody can look at.
TEST_F(Chain, IsCutWhereThereAreTooManyWays) {
  std::vector<Identity> mesh;
  for (int i = 0; i < 8; ++i) mesh.push_back(tests::root("CN=Mesh " + std::to_string(i)));
  Certificates pool;
  for (const Identity& by : mesh) {
    for (const Identity& of : mesh) {
      if (&by == &of) continue;
      pool.push_back(cross(of, name_text(X509_get_subject_name(of.certificate.get())), by));
    }
  }
  const Identity end = tests::issue({.subject = "CN=end"}, &mesh[0]);
  const IssuerPaths found = issuer_paths(end.certificate.get(), pool, {});
  EXPECT_TRUE(found.cut);
  EXPECT_EQ(found.paths.size(), 100u);
}

TEST_F(Chain, ForServersIsLongestAndWithoutTheRoot) {
  const Certificates pool =
      pool_of({root_.certificate.get(), cross_.get(), other_root_.certificate.get(),
               sub_.certificate.get(), leaf_.certificate.get()});
  EXPECT_THAT(names_of(server_chain(leaf_.certificate.get(), pool, kNow)),
              ElementsAre("leaf", "Sub", "Root"));
  EXPECT_THAT(names_of(server_chain(leaf_.certificate.get(), {}, kNow)), ElementsAre("leaf"));
  EXPECT_THAT(names_of(server_chain(root_.certificate.get(), pool, kNow)), ElementsAre("Root"));
}

TEST_F(Chain, ForServersPrefersWhatIsValid) {
  const ossl::Certificate old = cross(root_, "CN=Root", other_root_, kNow - kDay);
  const Certificates pool = pool_of({root_.certificate.get(), old.get(), sub_.certificate.get()});
  EXPECT_THAT(names_of(server_chain(leaf_.certificate.get(), pool, kNow)),
              ElementsAre("leaf", "Sub"));
}

}  // namespace
}  // namespace hsmith::x509
