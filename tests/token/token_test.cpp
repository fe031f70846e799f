#include "tokens/token.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/error_of.h"
#include "tests/support/softhsm_fixture.h"

namespace hsmith::tests {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using tokens::OpenToken;
using tokens::TokenChoice;

int count(const std::string& text, const std::string& what) {
  int hits = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    ++hits;
  return hits;
}

TEST(TokenChoiceTest, ReadsALabelASerialNumberAndAUri) {
  EXPECT_EQ(tokens::parse_token_choice("prod").label, "prod");
  EXPECT_EQ(tokens::parse_token_choice("serial:12").serial, "12");
  const TokenChoice choice = tokens::parse_token_choice("pkcs11:token=a%20b;model=m;slot-id=3");
  EXPECT_EQ(choice.label, "a b");
  EXPECT_EQ(choice.model, "m");
  EXPECT_EQ(choice.slot, 3u);
  EXPECT_EQ(choice.text, "pkcs11:token=a%20b;model=m;slot-id=3");
}

TEST(TokenChoiceTest, RefusesAUriThatWouldLoadAModule) {
  const Error error =
      error_of([] { tokens::parse_token_choice("pkcs11:token=a?module-path=/tmp/x.so"); });
  EXPECT_EQ(error.kind(), Kind::refused);
}

TEST(TokenChoiceTest, MatchesWhatItNamesAndNothingElse) {
  pkcs11::TokenInfo token;
  token.label = "prod";
  token.serial = "12";
  EXPECT_TRUE(tokens::matches(tokens::parse_token_choice("prod"), token, 0));
  EXPECT_FALSE(tokens::matches(tokens::parse_token_choice("pro"), token, 0));
  EXPECT_TRUE(tokens::matches(tokens::parse_token_choice("pkcs11:token=prod;serial=12"), token, 0));
  EXPECT_FALSE(tokens::matches(tokens::parse_token_choice("pkcs11:token=prod;serial=1"), token, 0));
  EXPECT_FALSE(tokens::matches(tokens::parse_token_choice("pkcs11:slot-id=1"), token, 0));
}

class TokenTest : public SoftHsmTest {};

TEST_F(TokenTest, TriesAgainWhatAnotherProcessAtTheTokenCauses) {
  for (const char* rule :
       {"fail C_Initialize 1 CKR_GENERAL_ERROR", "fail C_Login 1 CKR_GENERAL_ERROR",
        "fail C_GetTokenInfo 1 CKR_TOKEN_NOT_RECOGNIZED",
        "fail C_OpenSession 1 CKR_TOKEN_NOT_RECOGNIZED",
        "fail C_Login 1 CKR_USER_PIN_NOT_INITIALIZED"}) {
    inject(rule);
    EXPECT_NO_THROW(open()) << rule;
    EXPECT_THAT(fault_log(), HasSubstr("rule=")) << rule;
  }
}

TEST_F(TokenTest, TriesAgainOnlySoManyTimes) {
  inject("fail C_Initialize always CKR_GENERAL_ERROR");
  EXPECT_EQ(error_of([&] { open(); }).ckr(), "CKR_GENERAL_ERROR");
  EXPECT_EQ(count(fault_log(), "C_Initialize"), 6);
}

TEST_F(TokenTest, NeverSendsAWrongPinTwice) {
  inject("assert at-most C_Login 1");
  use_pin("wrong pin");
  EXPECT_EQ(error_of([&] { open(); }).ckr(), "CKR_PIN_INCORRECT");
  EXPECT_EQ(count(fault_log(), "C_Login"), 1);
}

TEST_F(TokenTest, NeverSendsAPinAgainAfterACodeAboutIt) {
  for (const char* code :
       {"CKR_PIN_LOCKED", "CKR_PIN_EXPIRED", "CKR_PIN_LEN_RANGE", "CKR_PIN_INVALID"}) {
    inject(fmt::format("fail C_Login always {}", code));
    const Error error = error_of([&] { open(); });
    EXPECT_EQ(error.ckr(), code);
    EXPECT_EQ(error.exit_status(), 4) << code;
    EXPECT_EQ(count(fault_log(), "C_Login"), 1) << code;
  }
}

TEST_F(TokenTest, LooksAgainForATokenThatAnotherProcessWasRewriting) {
  inject("hide-slot all 1");
  EXPECT_NO_THROW(open());
  EXPECT_EQ(count(fault_log(), "C_GetSlotList"), 2);
}

TEST_F(TokenTest, ReadsFlagsThatAnotherProcessWasRewritingAgain) {
  inject("token-flag clear CKF_USER_PIN_INITIALIZED 1");
  EXPECT_NO_THROW(open());
}

TEST_F(TokenTest, TakesAUserWhoIsLoggedInAlready) {
  inject("fail-after C_Login 1 CKR_USER_ALREADY_LOGGED_IN");
  EXPECT_NO_THROW(open());
}

TEST_F(TokenTest, DoesNotTrustTextsWithoutAnEnd) {
  inject("token-label = \"12345678901234567890123456789012\"");
  reach.token = tokens::parse_token_choice("12345678901234567890123456789012");
  EXPECT_THAT(open().info.label, SizeIs(32));
}

TEST_F(TokenTest, TellsABrokenSlotFromATokenThatIsNotThere) {
  inject("fail C_GetTokenInfo always CKR_DEVICE_ERROR");
  const Error error = error_of([&] { open(); });
  EXPECT_EQ(error.ckr(), "CKR_DEVICE_ERROR");
  EXPECT_THAT(error.what(), HasSubstr("look at the tokens"));
}

TEST_F(TokenTest, LeavesNothingOfThePinInTheCallLog) {
  reach.trace = std::make_shared<pkcs11::Trace>(folder() / "trace");
  open();
  open(pkcs11::Access::read_write, tokens::Login::so);
  std::ifstream file(folder() / "trace");
  const std::string trace(std::istreambuf_iterator<char>(file), {});
  EXPECT_THAT(trace, HasSubstr("C_Login"));
  EXPECT_THAT(trace, Not(HasSubstr(pin())));
  EXPECT_THAT(trace, Not(HasSubstr(so_pin())));
}

TEST_F(TokenTest, WarnsOfASlotNumber) {
  reach.token.slot = open().slot;
  open();
  ASSERT_THAT(warnings, SizeIs(1));
  EXPECT_THAT(warnings[0], HasSubstr("slot ids move"));
}

}  // namespace
}  // namespace hsmith::tests
