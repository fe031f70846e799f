#include "src/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>
#include <string>

namespace hsmith {
namespace {

using testing::ElementsAre;
using testing::MatchesRegex;

TEST(Error, EveryKindStandsOnceInTheTable) {
  const int last = static_cast<int>(Kind::busy);
  ASSERT_EQ(kinds().size(), static_cast<std::size_t>(last) + 1);
  for (int kind = 0; kind <= last; ++kind) {
    EXPECT_EQ(info(static_cast<Kind>(kind)).kind, static_cast<Kind>(kind));
  }
}

TEST(Error, KindsHaveStableNamesAndContractualExitStatuses) {
  std::set<std::string> names;
  for (const KindInfo& kind : kinds()) {
    EXPECT_THAT(kind.name, MatchesRegex("[a-z]+(_[a-z]+)*"));
    names.insert(kind.name);
    // 0 and 3 are answers, not errors.
    EXPECT_TRUE(kind.exit_status >= 1 && kind.exit_status <= 13 && kind.exit_status != 3);
  }
  EXPECT_EQ(names.size(), kinds().size());
  EXPECT_EQ(info(Kind::configuration).exit_status, 2);
  EXPECT_EQ(info(Kind::pin_locked).exit_status, 4);
  EXPECT_EQ(info(Kind::ambiguous).exit_status, 5);
  EXPECT_EQ(info(Kind::mismatch).exit_status, 6);
  EXPECT_EQ(info(Kind::unsafe_permissions).exit_status, 7);
  EXPECT_EQ(info(Kind::token_removed).exit_status, 9);
}

TEST(Error, CarriesHintCodeAndCandidates) {
  const Error error = Error(Kind::token_failed, "sign with \"web\": the token refused")
                          .hint("hsmith doctor")
                          .ckr("CKR_GENERAL_ERROR")
                          .candidates({"pkcs11:object=a", "pkcs11:object=b"});
  EXPECT_EQ(error.kind(), Kind::token_failed);
  EXPECT_EQ(error.exit_status(), 9);
  EXPECT_STREQ(error.what(), "sign with \"web\": the token refused");
  EXPECT_EQ(error.hint(), "hsmith doctor");
  EXPECT_EQ(error.ckr(), "CKR_GENERAL_ERROR");
  EXPECT_THAT(error.candidates(), ElementsAre("pkcs11:object=a", "pkcs11:object=b"));
}

TEST(Error, SeenFromOneLevelUpKeepsAllItCarries) {
  const Error inner = Error(Kind::busy, "take the lock: process 7 holds it")
                          .hint("wait")
                          .ckr("CKR_X")
                          .candidates({"pkcs11:"});
  const Error outer = inner.during("open the token");
  EXPECT_STREQ(outer.what(), "open the token: take the lock: process 7 holds it");
  EXPECT_EQ(outer.kind(), Kind::busy);
  EXPECT_EQ(outer.hint(), "wait");
  EXPECT_EQ(outer.ckr(), "CKR_X");
  EXPECT_THAT(outer.candidates(), ElementsAre("pkcs11:"));
}

TEST(Error, CanBeThrownWithItsHint) {
  try {
    throw Error(Kind::usage, "message").hint("hint");
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "hint");
    EXPECT_EQ(error.kind(), Kind::usage);
  }
}

}  // namespace
}  // namespace hsmith
