#include "tokens/child_process.h"

#include <chrono>
#include <csignal>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "tests/support/error_of.h"

namespace hsmith::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using tokens::run_in_child;

TEST(ChildProcess, GivesBackWhatTheWorkReturned) {
  const std::string large(200'000, 'x');
  EXPECT_EQ(run_in_child("work", seconds(10), [&] { return large; }), large);
}

TEST(ChildProcess, WorksInAProcessOfItsOwn) {
  int changed = 0;
  const std::string pid = run_in_child("work", seconds(10), [&] {
    changed = 1;
    return std::to_string(getpid());
  });
  EXPECT_NE(pid, std::to_string(getpid()));
  EXPECT_EQ(changed, 0);
}

TEST(ChildProcess, ThrowsTheErrorOfTheWorkAsItWas) {
  const Error error = error_of([] {
    run_in_child("work", seconds(10), []() -> std::string {
      throw Error(Kind::pin_locked, "log in: locked")
          .hint("unblock it")
          .ckr("CKR_PIN_LOCKED")
          .candidates({"pkcs11:token=one", "pkcs11:token=two"});
    });
  });
  EXPECT_EQ(error.kind(), Kind::pin_locked);
  EXPECT_STREQ(error.what(), "log in: locked");
  EXPECT_EQ(error.hint(), "unblock it");
  EXPECT_EQ(error.ckr(), "CKR_PIN_LOCKED");
  EXPECT_EQ(error.candidates(), (std::vector<std::string>{"pkcs11:token=one", "pkcs11:token=two"}));
}

TEST(ChildProcess, ReportsAnyOtherExceptionAsInternal) {
  const Error error = error_of([] {
    run_in_child("work", seconds(10),
                 []() -> std::string { throw std::runtime_error("unexpected"); });
  });
  EXPECT_EQ(error.kind(), Kind::internal);
  EXPECT_STREQ(error.what(), "unexpected");
}

TEST(ChildProcess, ReportsACrash) {
  const Error error = error_of([] {
    run_in_child("look at the module", seconds(10), []() -> std::string {
      raise(SIGKILL);
      return "";
    });
  });
  EXPECT_EQ(error.kind(), Kind::token_failed);
  EXPECT_STREQ(error.what(), "look at the module: it crashed (Killed)");
}

TEST(ChildProcess, ACrashIsReportedWithWhatWasSaidLast) {
  const auto after = [](const std::string& last, const std::function<void()>& end) {
    return error_of([&] {
      run_in_child("work", milliseconds(1000), [&](const tokens::Say& say) {
        say("something longer than what comes then");
        say(last);
        end();
        return std::string();
      });
    });
  };
  const auto crash = [] { raise(SIGKILL); };
  EXPECT_STREQ(after("wrap", crash).what(), "work: it crashed (Killed), in: wrap");
  EXPECT_STREQ(after("wrap", [] { _exit(0); }).what(),
               "work: the module ended the process, in: wrap");
  EXPECT_STREQ(after("wrap", [] { std::this_thread::sleep_for(seconds(60)); }).what(),
               "work: it did not end within 1 s, in: wrap");
  EXPECT_THAT(after("\x1b[2J", crash).what(), testing::EndsWith("in: \\x1b[2J"));
  EXPECT_LT(std::string(after(std::string(100'000, 'x'), crash).what()).size(), 1000u);
  EXPECT_STREQ(after("", crash).what(), "work: it crashed (Killed)");
}

TEST(ChildProcess, ReportsAModuleThatEndsTheProcess) {
  const Error error =
      error_of([] { run_in_child("work", seconds(10), []() -> std::string { _exit(0); }); });
  EXPECT_STREQ(error.what(), "work: the module ended the process");
}

TEST(ChildProcess, EndsWorkThatTakesTooLong) {
  const Error error = error_of([] {
    run_in_child("work", milliseconds(1000), []() -> std::string {
      std::this_thread::sleep_for(seconds(60));
      return "";
    });
  });
  EXPECT_STREQ(error.what(), "work: it did not end within 1 s");
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
}

TEST(ChildProcess, KeepsWhatAModulePrintsOffStandardOutput) {
  testing::internal::CaptureStdout();
  const std::string wrote = run_in_child(
      "work", seconds(10), [] { return std::to_string(write(STDOUT_FILENO, "noise\n", 6)); });
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(wrote, "6");
}

}  // namespace
}  // namespace hsmith::tests
