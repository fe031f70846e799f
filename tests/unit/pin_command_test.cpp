#include "tokens/pin_command.h"

#include <csignal>
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "src/base/files.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace hsmith::tokens {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using tests::error_of;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kLong{20000};

std::string output_of(const std::string& command) {
  return std::string(as_text(first_line_of_command(command, kLong).reveal()));
}

Error error_for(const std::string& command, milliseconds limit = kLong) {
  return error_of([&] { first_line_of_command(command, limit); });
}

TEST(PinCommand, GivesTheFirstLineOfItsOutput) {
  EXPECT_EQ(output_of("echo 1234; echo 5678"), "1234");
  EXPECT_EQ(output_of("printf 12; sleep 0.05; printf 34"), "1234");
  EXPECT_EQ(output_of("true"), "");
}

TEST(PinCommand, ReadsAllOfALongOutputSoThatTheCommandIsNotEndedByItsPipe) {
  EXPECT_EQ(output_of("set -e; echo 1234; head -c 300000 /dev/zero; echo end"), "1234");
}

TEST(PinCommand, MustEndWithStatusZero) {
  const Error error = error_for("echo 1234; exit 3");
  EXPECT_EQ(error.kind(), Kind::pin_missing);
  EXPECT_STREQ(error.what(), "run the command that gives the PIN: it ended with status 3");
  EXPECT_THAT(error_for("no-such-program-here 2>&-").what(), HasSubstr("status 127"));
}

TEST(PinCommand, ThatIsEndedByASignalIsAnError) {
  EXPECT_THAT(error_for("echo 1234; kill -9 $$").what(), HasSubstr("signal 9 ended it"));
}

TEST(PinCommand, IsEndedWhenItTakesTooLong) {
  const auto started = Clock::now();
  const Error error = error_for("echo 1234; exec sleep 30", milliseconds(100));
  EXPECT_EQ(error.kind(), Kind::pin_missing);
  EXPECT_THAT(error.what(), HasSubstr("it took too long"));
  EXPECT_LT(Clock::now() - started, std::chrono::seconds(10));
}

TEST(PinCommand, IsNotWaitedForBecauseOfWhatItLeftRunning) {
  const auto started = Clock::now();
  EXPECT_EQ(output_of("sleep 15 2>&- & echo 1234"), "1234");
  EXPECT_LT(Clock::now() - started, std::chrono::seconds(10));
}

TEST(PinCommand, SeesNothingOfOurVariables) {
  setenv("HSMITH_TEST_VARIABLE", "seen", 1);
  setenv("TEST_VARIABLE_OF_OTHERS", "seen", 1);
  const std::string ours = output_of("env | grep -c ^HSMITH_; true");
  const std::string others = output_of("echo $TEST_VARIABLE_OF_OTHERS");
  unsetenv("HSMITH_TEST_VARIABLE");
  unsetenv("TEST_VARIABLE_OF_OTHERS");
  EXPECT_EQ(ours, "0");
  EXPECT_EQ(others, "seen");
}

TEST(PinCommand, HasAnEmptyStandardInput) { EXPECT_EQ(output_of("wc -c"), "0"); }

TEST(PinCommand, HasNoDescriptorsOfOurs) {
  const Descriptor leaking(dup(STDERR_FILENO));
  ASSERT_GE(leaking.get(), 3);
  EXPECT_EQ(output_of("test -e /dev/fd/" + std::to_string(leaking.get()) + " || echo closed"),
            "closed");
}

TEST(PinCommand, GetsBackTheDefaultOfThePipeSignal) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const std::string ignored = output_of("sh -c 'kill -PIPE $$'; echo $?");
  std::signal(SIGPIPE, before);
  EXPECT_EQ(ignored, "141");
}

TEST(PinCommand, IsNotRepeatedInAMessage) {
  EXPECT_THAT(error_for("exit 3 # geheim").what(), Not(HasSubstr("geheim")));
}

}  // namespace
}  // namespace hsmith::tokens
