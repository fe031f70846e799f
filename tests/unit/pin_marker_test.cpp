#include "tokens/pin_marker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "src/base/files.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace hsmith::tokens {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using tests::error_of;
using tests::TemporaryFolder;
namespace fs = std::filesystem;

TEST(PinMarker, StopsTheNextLoginAndSaysHowToGoOn) {
  const TemporaryFolder state;
  EXPECT_NO_THROW(refuse_after_failed_pin(state.path(), "4711", PinRole::user));
  note_failed_pin(state.path(), "4711", PinRole::user);
  const Error error =
      error_of([&] { refuse_after_failed_pin(state.path(), "4711", PinRole::user); });
  EXPECT_EQ(error.kind(), Kind::pin_failed_before);
  EXPECT_EQ(error.exit_status(), 4);
  EXPECT_STREQ(error.what(),
               "log in to the token with serial number \"4711\": the PIN given last "
               "was wrong, and another try could lock it");
  EXPECT_THAT(error.hint(), HasSubstr("--retry-pin"));
}

TEST(PinMarker, IsOneForEachTokenAndRole) {
  const TemporaryFolder state;
  note_failed_pin(state.path(), "4711", PinRole::user);
  EXPECT_NO_THROW(refuse_after_failed_pin(state.path(), "4712", PinRole::user));
  EXPECT_NO_THROW(refuse_after_failed_pin(state.path(), "4711", PinRole::so));
  note_failed_pin(state.path(), "4711", PinRole::so);
  EXPECT_THAT(error_of([&] { refuse_after_failed_pin(state.path(), "4711", PinRole::so); }).what(),
              HasSubstr("the SO PIN given last"));
}

TEST(PinMarker, IsForgottenOnDemandAndCanBeNotedAgain) {
  const TemporaryFolder state;
  EXPECT_NO_THROW(forget_failed_pin(state.path(), "4711", PinRole::user));
  note_failed_pin(state.path(), "4711", PinRole::user);
  note_failed_pin(state.path(), "4711", PinRole::user);
  forget_failed_pin(state.path(), "4711", PinRole::user);
  EXPECT_NO_THROW(refuse_after_failed_pin(state.path(), "4711", PinRole::user));
  note_failed_pin(state.path(), "4711", PinRole::user);
  EXPECT_THROW(refuse_after_failed_pin(state.path(), "4711", PinRole::user), Error);
}

TEST(PinMarker, HoldsSerialTimeAndRoleAndIsPrivate) {
  const TemporaryFolder state;
  note_failed_pin(state.path() / "new", "47 11", PinRole::user);
  const fs::path path = state.path() / "new" / "pin-failed" / "47_2011.user";
  EXPECT_THAT(std::string(as_text(read_file(path))),
              MatchesRegex("serial 47 11\ntime 20..-..-..T..:..:..Z\nuser user\n"));
  EXPECT_EQ(fs::status(path).permissions(), fs::perms(0600));
  EXPECT_EQ(fs::status(path.parent_path()).permissions(), fs::perms(0700));
}

TEST(PinMarker, ThatCannotBeKeptIsSaidBeforeThePinIsSentAndDoesNotHideThatItIsWrong) {
  const TemporaryFolder state;
  EXPECT_NO_THROW(check_failed_pin_can_be_noted(state.path(), "4711", PinRole::user));
  fs::remove(state.path() / "pin-failed");
  write_file(state.path() / "pin-failed", {}, kPrivateFile, Replace::no);  // where a folder must be
  const Error error =
      error_of([&] { check_failed_pin_can_be_noted(state.path(), "4711", PinRole::user); });
  EXPECT_EQ(error.kind(), Kind::io);
  EXPECT_THAT(error.what(), HasSubstr("\"4711\": the PIN was not sent"));
  std::string why;
  EXPECT_NO_THROW(why = note_failed_pin(state.path(), "4711", PinRole::user));
  EXPECT_THAT(why, HasSubstr("the next run sends it again: make the folder"));
}

TEST(PinMarker, StaysInItsFolderWhateverTheTokensSerialIs) {
  const TemporaryFolder state;
  for (const char* serial : {"../../x", "/etc/x", "..", "", "a\nb"}) {
    note_failed_pin(state.path(), serial, PinRole::user);
    EXPECT_THROW(refuse_after_failed_pin(state.path(), serial, PinRole::user), Error) << serial;
  }
  const auto files = fs::directory_iterator(state.path() / "pin-failed");
  EXPECT_EQ(std::distance(begin(files), end(files)), 5);
}

TEST(PinMarker, ThatCannotBeLookedForOrRemovedIsAnError) {
  if (geteuid() != 0) GTEST_SKIP() << "skipped: needs root to become another user";
  const TemporaryFolder state;
  note_failed_pin(state.path(), "4711", PinRole::user);
  EXPECT_EXIT(
      {
        if (setuid(65534) != 0) _exit(2);
        const Kind looked =
            error_of([&] { refuse_after_failed_pin(state.path(), "4711", PinRole::user); }).kind();
        const Kind removed =
            error_of([&] { forget_failed_pin(state.path(), "4711", PinRole::user); }).kind();
        _exit(looked == Kind::io && removed == Kind::io ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace hsmith::tokens
