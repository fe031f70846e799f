#include "src/journal/intents.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/error.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace hsmith::journal {
namespace {

using tests::error_of;
using tests::TemporaryFolder;

const Intent kIntent{"key generate", "0011", "prod", {{"label", "web"}}};

// Begins an intent in a process that then dies.
void begin_and_die(const TemporaryFolder& folder) {
  const pid_t child = fork();
  if (child == 0) {
    begin(folder.path(), kIntent);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
}

TEST(Intents, WhatAProcessLeftIsFoundByTheNext) {
  const TemporaryFolder folder;
  begin_and_die(folder);
  const std::vector<Entry> entries = unfinished(folder.path());
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].intent.operation, "key generate");
  EXPECT_EQ(entries[0].intent.token_serial, "0011");
  EXPECT_EQ(entries[0].intent.facts, kIntent.facts);
  EXPECT_EQ(entries[0].unreadable, "");
}

// In a container nobody may ever ask: the first process there waits for its own children only.
TEST(Intents, AProcessWhoseEndNobodyAskedForRunsNoMore) {
  const TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    begin(folder.path(), kIntent);
    _exit(0);
  }
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(unfinished(folder.path()).size(), 1u);
  waitpid(child, nullptr, 0);
}

TEST(Intents, WhatEndedIsGoneAndEndingTwiceIsHarmless) {
  const TemporaryFolder folder;
  const std::filesystem::path entry = begin(folder.path(), kIntent);
  end(entry);
  end(entry);
  EXPECT_TRUE(unfinished(folder.path()).empty());
}

TEST(Intents, AnUpdateReplacesTheFacts) {
  const TemporaryFolder folder;
  const std::filesystem::path entry = begin(folder.path(), kIntent);
  Intent more = kIntent;
  more.facts["public_key"] = "30";
  update(entry, more);
  EXPECT_EQ(unfinished(folder.path()).at(0).intent.facts["public_key"], "30");
}

TEST(Intents, AnOperationThatStillRunsIsNotUnfinished) {
  const TemporaryFolder folder;
  int ready[2];
  int release[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(release), 0);
  const pid_t child = fork();
  char byte = 0;
  if (child == 0) {
    begin(folder.path(), kIntent);
    byte = write(ready[1], "x", 1) == 1 ? 'x' : 'y';
    byte = read(release[0], &byte, 1) == 1 ? 'x' : 'y';
    _exit(0);
  }
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_TRUE(unfinished(folder.path()).empty());
  ASSERT_EQ(write(release[1], "x", 1), 1);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(unfinished(folder.path()).size(), 1u);
}

TEST(Intents, EveryPrefixOfAnEntryIsListedAsUnreadable) {
  const TemporaryFolder folder;
  begin_and_die(folder);
  const std::filesystem::path file = unfinished(folder.path()).at(0).file;
  std::ifstream stream(file);
  const std::string content(std::istreambuf_iterator<char>(stream), {});
  for (std::size_t size = 0; size + 2 < content.size(); ++size) {
    std::ofstream(file, std::ios::trunc) << content.substr(0, size);
    const std::vector<Entry> entries = unfinished(folder.path());
    ASSERT_EQ(entries.size(), 1u) << size;
    EXPECT_NE(entries[0].unreadable, "") << size;
  }
}

TEST(Intents, AJournalThatCannotBeLookedThroughIsNoEmptyOne) {
  const TemporaryFolder folder;
  EXPECT_TRUE(unfinished(folder.path()).empty());
  std::filesystem::create_symlink("nowhere", folder / "journal");
  EXPECT_EQ(error_of([&] { unfinished(folder.path()); }).kind(), Kind::io);
  std::filesystem::remove(folder / "journal");
  std::ofstream(folder / "journal") << "a file in its place";
  EXPECT_EQ(error_of([&] { unfinished(folder.path()); }).kind(), Kind::io);
}

TEST(Intents, WhatOthersMayWriteIsNotBelieved) {
  using std::filesystem::perms;
  const TemporaryFolder folder;
  begin_and_die(folder);
  const std::filesystem::path file = unfinished(folder.path()).at(0).file;
  std::filesystem::permissions(file, perms::group_write, std::filesystem::perm_options::add);
  EXPECT_NE(unfinished(folder.path()).at(0).unreadable, "");
  std::filesystem::permissions(folder / "journal", perms::others_write,
                               std::filesystem::perm_options::add);
  EXPECT_EQ(error_of([&] { unfinished(folder.path()); }).kind(), Kind::unsafe_permissions);
}

TEST(Intents, WithoutAJournalNothingIsBegun) {
  const TemporaryFolder folder;
  std::ofstream(folder / "journal") << "a file in its place";
  EXPECT_EQ(error_of([&] { begin(folder.path(), kIntent); }).kind(), Kind::io);
}

}  // namespace
}  // namespace hsmith::journal
