#include "src/base/lock.h"

#include <array>
#include <csignal>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace hsmith {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using tests::error_of;
using tests::TemporaryFolder;
using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

// Another process that holds a lock until it is told to end.
class Holder {
 public:
  explicit Holder(const std::string& path) {
    std::array<int, 2> ready{};
    EXPECT_EQ(pipe(ready.data()), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const FileLock lock = FileLock::acquire(path, milliseconds(0));
      const bool told = write(ready[1], "x", 1) == 1;
      while (told) pause();
      _exit(1);
    }
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
  }
  ~Holder() { end(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  pid_t pid() const { return pid_; }
  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
};

TEST(FileLock, KeepsOthersOutAndNamesItsHolder) {
  const TemporaryFolder folder;
  const std::string path = folder / "token.lock";
  const Holder holder(path);
  const Error error = error_of([&] { FileLock::acquire(path, milliseconds(0)); });
  EXPECT_EQ(error.kind(), Kind::busy);
  EXPECT_EQ(error.exit_status(), 13);
  EXPECT_EQ(error.what(), "take the lock \"" + path + "\": process " +
                              std::to_string(holder.pid()) + " holds it");
}

TEST(FileLock, IsFreeWhenItsHolderDied) {
  const TemporaryFolder folder;
  Holder holder(folder / "token.lock");
  holder.end();
  EXPECT_NO_THROW(FileLock::acquire(folder / "token.lock", milliseconds(0)));
}

TEST(FileLock, IsFreeAfterItsScope) {
  const TemporaryFolder folder;
  { const FileLock lock = FileLock::acquire(folder / "a", milliseconds(0)); }
  EXPECT_NO_THROW(FileLock::acquire(folder / "a", milliseconds(0)));
}

TEST(FileLock, IsHeldWithinOneProcessToo) {
  const TemporaryFolder folder;
  const FileLock lock = FileLock::acquire(folder / "a", milliseconds(0));
  EXPECT_THAT(error_of([&] { FileLock::acquire(folder / "a", milliseconds(0)); }).what(),
              HasSubstr(std::to_string(getpid())));
}

TEST(FileLock, WaitsUntilItIsFree) {
  const TemporaryFolder folder;
  Holder holder(folder / "a");
  std::thread ending([&] {
    std::this_thread::sleep_for(milliseconds(60));
    holder.end();
  });
  EXPECT_NO_THROW(FileLock::acquire(folder / "a", milliseconds(20000)));
  ending.join();
}

TEST(FileLock, WaitsNoLongerThanItMay) {
  const TemporaryFolder folder;
  const Holder holder(folder / "a");
  const auto started = Clock::now();
  EXPECT_EQ(error_of([&] { FileLock::acquire(folder / "a", milliseconds(80)); }).kind(),
            Kind::busy);
  const auto waited = Clock::now() - started;
  EXPECT_GE(waited, milliseconds(40));
  EXPECT_LT(waited, milliseconds(5000));
}

TEST(FileLock, ManyProcessesGetItOneAfterTheOther) {
  const TemporaryFolder folder;
  const std::string counter = folder.write("counter", "0");
  constexpr int kProcesses = 8;
  constexpr int kRounds = 20;
  for (int process = 0; process < kProcesses; ++process) {
    if (fork() != 0) continue;
    for (int round = 0; round < kRounds; ++round) {
      const FileLock lock = FileLock::acquire(folder / "a", milliseconds(60000));
      int value = 0;
      std::ifstream(counter) >> value;
      std::ofstream(counter) << value + 1;
    }
    _exit(0);
  }
  for (int process = 0; process < kProcesses; ++process) {
    int status = -1;
    wait(&status);
    EXPECT_EQ(status, 0);
  }
  int value = 0;
  std::ifstream(counter) >> value;
  EXPECT_EQ(value, kProcesses * kRounds);
}

TEST(FileLock, IsAPrivateFileWithTheHoldersProcessId) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "99999999999 left by a longer text\n");
  const FileLock lock = FileLock::acquire(path, milliseconds(0));
  const FileLock fresh = FileLock::acquire(folder / "b", milliseconds(0));
  EXPECT_EQ(as_text(read_file(path)), std::to_string(getpid()) + "\n");
  EXPECT_EQ(fs::status(folder / "b").permissions(), fs::perms(0600));
}

TEST(FileLock, DoesNotBelieveAProcessIdThatIsNone) {
  const TemporaryFolder folder;
  const Holder holder(folder / "a");
  for (const char* content : {"", "\x1b[2Jx\n", "12 34\n"}) {
    folder.write("a", content);
    EXPECT_THAT(error_of([&] { FileLock::acquire(folder / "a", milliseconds(0)); }).what(),
                HasSubstr("another process holds it"));
  }
}

TEST(FileLock, DoesNotFollowASymbolicLink) {
  const TemporaryFolder folder;
  const std::string victim = folder.write("victim", "precious");
  fs::create_symlink(victim, folder / "a");
  const Error error = error_of([&] { FileLock::acquire(folder / "a", milliseconds(0)); });
  EXPECT_EQ(error.kind(), Kind::unsafe_permissions);
  EXPECT_THAT(error.what(), HasSubstr("it is a symbolic link"));
  EXPECT_EQ(as_text(read_file(victim)), "precious");
}

TEST(FileLock, ThatCannotBeMadeIsAnError) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of([&] { FileLock::acquire(folder / "none/a", milliseconds(0)); }).kind(),
            Kind::io);
}

TEST(LockFolder, IsTheConfiguredThenTheRuntimeThenTheStateFolder) {
  const TemporaryFolder folder;
  Environment environment;
  environment.state_folder = folder / "state";
  EXPECT_EQ(lock_folder(std::nullopt, environment), folder / "state/lock");
  environment.runtime_folder = folder / "run";
  EXPECT_EQ(lock_folder(std::nullopt, environment), folder / "run/hsmith");
  EXPECT_EQ(lock_folder(folder / "mine", environment), folder / "mine");
  EXPECT_EQ(fs::status(folder / "mine").permissions(), fs::perms(0700));
}

TEST(LockFolder, ThatOthersMayWriteToIsRefused) {
  const TemporaryFolder folder;
  for (const int mode : {0770, 0707, 01777}) {
    chmod(folder.path().c_str(), static_cast<mode_t>(mode));
    const Error error = error_of([&] { lock_folder(folder.path().string(), {}); });
    EXPECT_EQ(error.kind(), Kind::unsafe_permissions) << mode;
    EXPECT_THAT(error.what(), HasSubstr("others may write to it"));
    EXPECT_EQ(error.hint(), "chmod go-w " + folder.path().string());
  }
  EXPECT_EQ(error_of([] { lock_folder("/tmp", {}); }).kind(), Kind::unsafe_permissions);
}

TEST(LockFolder, ThatIsALinkOrAFileIsRefused) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "real");
  fs::create_symlink(folder / "real", folder / "link");
  EXPECT_THAT(error_of([&] { lock_folder(folder / "link", {}); }).what(),
              HasSubstr("it is not a folder"));
  EXPECT_EQ(error_of([&] { lock_folder(folder.write("file", ""), {}); }).kind(), Kind::io);
}

TEST(LockFolder, ThatBelongsToAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "skipped: needs root to give a folder away";
  const TemporaryFolder folder;
  ASSERT_EQ(chown(folder.path().c_str(), 65534, 65534), 0);
  const Error error = error_of([&] { lock_folder(folder.path().string(), {}); });
  EXPECT_EQ(error.kind(), Kind::unsafe_permissions);
  EXPECT_THAT(error.what(), HasSubstr("it belongs to another user"));
}

}  // namespace
}  // namespace hsmith
