#include "src/base/files.h"

#include <array>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "src/base/error.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace hsmith {
namespace {

using testing::HasSubstr;
using tests::error_of;
using tests::TemporaryFolder;
namespace fs = std::filesystem;

std::string content_of(const std::string& path) { return std::string(as_text(read_file(path))); }

std::size_t files_in(const fs::path& folder) {
  const auto files = fs::directory_iterator(folder);
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

// Puts a descriptor in the place of a standard stream for a while.
class Redirection {
 public:
  Redirection(int stream, int replacement) : stream_(stream), before_(dup(stream)) {
    dup2(replacement, stream);
  }
  ~Redirection() { dup2(before_.get(), stream_); }
  Redirection(const Redirection&) = delete;
  Redirection& operator=(const Redirection&) = delete;

 private:
  int stream_;
  Descriptor before_;
};

// Runs an action as the user nobody in a child; true when it says true.
template <typename Action>
void expect_as_nobody(Action action) {
  if (geteuid() != 0) GTEST_SKIP() << "skipped: needs root to become another user";
  EXPECT_EXIT(
      {
        if (setgid(65534) != 0 || setuid(65534) != 0) _exit(2);
        _exit(action() ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(Files, AFileIsReadWhole) {
  const TemporaryFolder folder;
  const std::string content("a\0b\n", 4);
  EXPECT_EQ(content_of(folder.write("f", content)), content);
  EXPECT_EQ(content_of(folder.write("empty", "")), "");
  const std::string large(200000, 'x');
  EXPECT_EQ(content_of(folder.write("large", large)), large);
}

TEST(Files, ADashReadsStandardInput) {
  const TemporaryFolder folder;
  const Descriptor file(open(folder.write("f", "typed").c_str(), O_RDONLY));
  const Redirection input(STDIN_FILENO, file.get());
  EXPECT_EQ(content_of("-"), "typed");
}

TEST(Files, AFileLargerThanTheLimitIsRefused) {
  const TemporaryFolder folder;
  const std::string path = folder.write("f", std::string(2048, 'x'));
  EXPECT_EQ(read_file(path, 2048).size(), 2048u);
  const Error error = error_of([&] { read_file(path, 2047); });
  EXPECT_EQ(error.kind(), Kind::malformed);
  EXPECT_EQ(error.what(), "read \"" + path + "\": larger than the 1 KiB that such a file may have");
  EXPECT_EQ(error_of([] { read_file("/dev/zero", 1 << 20); }).kind(), Kind::malformed);
}

TEST(Files, WhatCannotBeReadSaysWhy) {
  const TemporaryFolder folder;
  const Error absent = error_of([&] { read_file(folder / "none"); });
  EXPECT_EQ(absent.kind(), Kind::io);
  EXPECT_EQ(absent.what(), "read \"" + folder / "none" + "\": No such file or directory");
  const Error is_folder = error_of([&] { read_file(folder.path()); });
  EXPECT_EQ(is_folder.kind(), Kind::malformed);
  EXPECT_THAT(is_folder.what(), HasSubstr("it is a folder"));
}

TEST(Files, AFifoThatNobodyWritesToIsRefusedAndNotTakenAsEmpty) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  const Error error = error_of([&] { read_file(folder / "fifo"); });
  EXPECT_EQ(error.kind(), Kind::io);
  EXPECT_THAT(error.what(), HasSubstr("nobody writes to this FIFO"));
}

// What a FIFO gives whose writer comes late, and takes its time then.
std::string content_of_late(const std::string& path, const std::string& content) {
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const Descriptor file(open(path.c_str(), O_WRONLY));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (!content.empty() && write(file.get(), content.data(), content.size()) < 0) return;
  });
  const std::string read = content_of(path);
  writer.join();
  return read;
}

TEST(Files, AFifoWhoseWriterComesAMomentLaterIsReadWhole) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(content_of_late(folder / "fifo", "written late"), "written late");
  EXPECT_EQ(content_of_late(folder / "fifo", ""), "");
}

TEST(Files, BlocksComeInOrderAndWhole) {
  const TemporaryFolder folder;
  std::string large;
  for (int i = 0; i < 100000; ++i) large += std::to_string(i) + ' ';
  std::string seen;
  int blocks = 0;
  read_blocks(folder.write("f", large), [&](ByteView block) {
    seen += as_text(block);
    ++blocks;
  });
  EXPECT_EQ(seen, large);
  EXPECT_GT(blocks, 1);
}

TEST(Files, AFileIsWrittenWithItsExactMode) {
  const TemporaryFolder folder;
  const mode_t before = umask(0077);
  write_file(folder / "public", as_bytes("a"), kPublicFile, Replace::no);
  umask(0);
  write_file(folder / "private", as_bytes("b"), kPrivateFile, Replace::no);
  umask(before);
  EXPECT_EQ(content_of(folder / "public"), "a");
  EXPECT_EQ(fs::status(folder / "public").permissions(), fs::perms(0644));
  EXPECT_EQ(fs::status(folder / "private").permissions(), fs::perms(0600));
  EXPECT_EQ(files_in(folder.path()), 2u);
}

TEST(Files, AnExistingFileIsReplacedOnlyWhenAsked) {
  const TemporaryFolder folder;
  const std::string path = folder.write("f", "old");
  const Error error =
      error_of([&] { write_file(path, as_bytes("new"), kPublicFile, Replace::no); });
  EXPECT_EQ(error.kind(), Kind::exists);
  EXPECT_EQ(error.exit_status(), 8);
  EXPECT_EQ(error.what(), "write \"" + path + "\": the file exists");
  EXPECT_THAT(error.hint(), HasSubstr("--force"));
  EXPECT_EQ(content_of(path), "old");
  write_file(path, as_bytes("new"), kPublicFile, Replace::yes);
  EXPECT_EQ(content_of(path), "new");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(Files, ADanglingLinkCountsAsAnExistingFile) {
  const TemporaryFolder folder;
  fs::create_symlink(folder / "victim", folder / "link");
  EXPECT_EQ(error_of([&] { write_file(folder / "link", {}, kPublicFile, Replace::no); }).kind(),
            Kind::exists);
  EXPECT_FALSE(fs::exists(folder / "victim"));
}

TEST(Files, OnlyRegularFilesAreReplaced) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "d");
  const Error error = error_of([&] { check_output(folder / "d", Replace::yes); });
  EXPECT_EQ(error.kind(), Kind::io);
  EXPECT_THAT(error.what(), HasSubstr("it is not a regular file"));
}

TEST(Files, ACharacterDeviceIsWrittenToAndNotReplaced) {
  write_file("/dev/null", as_bytes("gone"), kPublicFile, Replace::no);
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(Files, OfManyWritersOfOneNewNameOneWins) {
  const TemporaryFolder folder;
  // check_output() passes for all; the last step decides.
  constexpr int kWriters = 8;
  std::array<int, 2> go{};
  ASSERT_EQ(pipe(go.data()), 0);
  for (int writer = 0; writer < kWriters; ++writer) {
    if (fork() != 0) continue;
    char byte = 0;
    close(go[1]);
    if (read(go[0], &byte, 1) < 0) _exit(2);
    try {
      write_file(folder / "f", as_bytes(std::to_string(writer)), kPublicFile, Replace::no);
    } catch (const Error& error) {
      _exit(error.kind() == Kind::exists ? 8 : 1);
    }
    _exit(0);
  }
  close(go[0]);
  close(go[1]);  // all start at once
  int won = 0;
  int refused = 0;
  for (int writer = 0; writer < kWriters; ++writer) {
    int status = -1;
    wait(&status);
    if (WEXITSTATUS(status) == 0) ++won;
    if (WEXITSTATUS(status) == 8) ++refused;
  }
  EXPECT_EQ(won, 1);
  EXPECT_EQ(refused, kWriters - 1);
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(Files, AFailedWriteLeavesNothingBehindAndTheOldFileUntouched) {
  const TemporaryFolder folder;
  const std::string path = folder.write("f", "old");
  EXPECT_EXIT(
      {
        signal(SIGXFSZ, SIG_IGN);
        rlimit limit{};
        limit.rlim_cur = limit.rlim_max = 1000;
        setrlimit(RLIMIT_FSIZE, &limit);
        const Bytes large(5000);
        const Error error = error_of([&] { write_file(path, large, kPublicFile, Replace::yes); });
        fprintf(stderr, "%s", error.what());
        _exit(error.exit_status());
      },
      testing::ExitedWithCode(12), "File too large");
  EXPECT_EQ(content_of(path), "old");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(Files, AFolderThatIsNotThereIsFoundBeforeAnythingIsDone) {
  const TemporaryFolder folder;
  const Error error = error_of([&] { check_output(folder / "none/f", Replace::no); });
  EXPECT_EQ(error.kind(), Kind::io);
  EXPECT_THAT(error.what(), HasSubstr("No such file or directory"));
}

TEST(Files, AFolderThatCannotBeWrittenIsFoundBeforeAnythingIsDone) {
  const TemporaryFolder folder;
  chmod(folder.path().c_str(), 0755);
  expect_as_nobody([&] {
    const Error error = error_of([&] { check_output(folder / "f", Replace::no); });
    return error.kind() == Kind::io &&
           error.what() == "write \"" + folder / "f" + "\": Permission denied";
  });
}

TEST(Files, ADashWritesToStandardOutput) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const Descriptor reading(ends[0]);
  const Descriptor writing(ends[1]);
  {
    const Redirection output(STDOUT_FILENO, writing.get());
    EXPECT_NO_THROW(check_output("-", Replace::no));
    write_file("-", as_bytes("shown"), kPrivateFile, Replace::no);
  }
  std::array<char, 16> block{};
  ASSERT_EQ(read(reading.get(), block.data(), block.size()), 5);
  EXPECT_EQ(std::string_view(block.data(), 5), "shown");
}

TEST(Files, AFullStandardOutputIsAnError) {
  const Descriptor full(open("/dev/full", O_WRONLY));
  const Error error = error_of([&] {
    const Redirection output(STDOUT_FILENO, full.get());
    write_file("-", as_bytes("shown"), kPublicFile, Replace::no);
  });
  EXPECT_EQ(error.kind(), Kind::io);
  EXPECT_STREQ(error.what(), "write \"standard output\": No space left on device");
}

TEST(Files, NewFoldersArePrivateAndOldOnesStayAsTheyAre) {
  const TemporaryFolder folder;
  chmod(folder.path().c_str(), 0755);
  make_private_folder(folder / "a/b");
  make_private_folder(folder / "a/b");
  EXPECT_EQ(fs::status(folder / "a").permissions(), fs::perms(0700));
  EXPECT_EQ(fs::status(folder / "a/b").permissions(), fs::perms(0700));
  EXPECT_EQ(fs::status(folder.path()).permissions(), fs::perms(0755));
}

TEST(Files, AFolderCannotBeMadeWhereAFileIs) {
  const TemporaryFolder folder;
  const std::string file = folder.write("f", "");
  EXPECT_THAT(error_of([&] { make_private_folder(file); }).what(), HasSubstr("File exists"));
  EXPECT_EQ(error_of([&] { make_private_folder(file + "/a"); }).kind(), Kind::io);
}

TEST(Files, AFolderThatMayNotBeMadeIsAnError) {
  const TemporaryFolder folder;  // 0700, root's
  expect_as_nobody(
      [&] { return error_of([&] { make_private_folder(folder / "a/b"); }).kind() == Kind::io; });
}

TEST(Files, AFileThatOthersMayWriteToIsRefused) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(refuse_writable_by_others(folder.write("f", "", 0644), "the profile"));
  for (const mode_t mode : {0660u, 0606u}) {
    const std::string path = folder.write("f", "", mode);
    const Error error = error_of([&] { refuse_writable_by_others(path, "the profile"); });
    EXPECT_EQ(error.kind(), Kind::unsafe_permissions);
    EXPECT_EQ(error.what(), "read the profile \"" + path + "\": others may write to it");
    EXPECT_EQ(error.hint(), "chmod go-w " + path);
  }
  EXPECT_EQ(error_of([&] { refuse_writable_by_others(folder / "none", "x"); }).kind(), Kind::io);
}

TEST(Files, ADescriptorIsClosedOnceAndCanBeMoved) {
  Descriptor first(open("/dev/null", O_RDONLY));
  const int fd = first.get();
  Descriptor second(std::move(first));
  EXPECT_EQ(first.get(), -1);
  EXPECT_EQ(second.get(), fd);
  second = Descriptor();
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
  Descriptor third(open("/dev/null", O_RDONLY));
  const int released = third.release();
  EXPECT_EQ(third.get(), -1);
  EXPECT_EQ(close(released), 0);
}

}  // namespace
}  // namespace hsmith
