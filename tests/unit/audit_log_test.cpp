#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/audit/checkpoint.h"
#include "src/audit/log.h"
#include "src/base/error.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace hsmith::audit {
namespace {

using ::testing::HasSubstr;
using tests::error_of;
using tests::TemporaryFolder;

void append_many(const std::filesystem::path& log, int count) {
  for (int i = 0; i < count; ++i) append(log, {{"event", "test"}, {"number", i}}, Flush::no);
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

void write(const std::filesystem::path& file, const std::string& content) {
  std::ofstream(file, std::ios::trunc) << content;
}

TEST(AuditLog, EntriesAreNumberedAndChained) {
  const TemporaryFolder folder;
  const std::filesystem::path log = folder / "audit.log";
  EXPECT_EQ(append(log, {{"event", "one"}}, Flush::yes).number, 1u);
  const Position second = append(log, {{"event", "two"}}, Flush::yes);
  const Verification found = verify(log, std::nullopt);
  EXPECT_EQ(found.problem, "");
  EXPECT_EQ(found.last.number, 2u);
  EXPECT_EQ(found.last.hash, second.hash);
}

TEST(AuditLog, EveryFlippedBitIsFoundOrMakesTheLastLineAnotherEntry) {
  const TemporaryFolder folder;
  const std::filesystem::path log = folder / "audit.log";
  append_many(log, 3);
  const Verification sound = verify(log, std::nullopt);
  const std::string content = content_of(log);
  for (std::size_t i = 0; i < content.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = content;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      write(log, changed);
      // What comes after the last entry cannot vouch for it: a checkpoint does.
      EXPECT_NE(verify(log, sound.last).problem, "") << "byte " << i << " bit " << bit;
    }
  }
}

TEST(AuditLog, ACutAtEveryByteIsFoundBehindACheckpoint) {
  const TemporaryFolder folder;
  const std::filesystem::path log = folder / "audit.log";
  append_many(log, 3);
  const Position kept = verify(log, std::nullopt).last;
  const std::string content = content_of(log);
  for (std::size_t size = 0; size < content.size(); ++size) {
    write(log, content.substr(0, size));
    EXPECT_THAT(verify(log, kept).problem, HasSubstr("entries were cut off")) << size;
  }
}

TEST(AuditLog, ATornLineIsCutOffAndTheCutIsAnEntry) {
  const TemporaryFolder folder;
  const std::filesystem::path log = folder / "audit.log";
  append_many(log, 2);
  write(log, content_of(log) + R"({"seq":3,"pr)");
  EXPECT_TRUE(verify(log, std::nullopt).torn);
  EXPECT_EQ(append(log, {{"event", "after"}}, Flush::yes).number, 4u);
  const Verification found = verify(log, std::nullopt);
  EXPECT_EQ(found.problem, "");
  EXPECT_FALSE(found.torn);
  EXPECT_THAT(content_of(log), HasSubstr("torn line cut off"));
}

TEST(AuditLog, NamesWithLineBreaksStayInOneEntry) {
  const TemporaryFolder folder;
  const std::filesystem::path log = folder / "audit.log";
  append(log, {{"event", "a\n{\"seq\":2"}, {"bytes", "\xff\x1b[31m"}}, Flush::no);
  int lines = 0;
  read_entries(log, [&](std::string_view line) {
    ++lines;
    EXPECT_EQ(line.find('\x1b'), std::string_view::npos);
  });
  EXPECT_EQ(lines, 1);
  EXPECT_EQ(verify(log, std::nullopt).problem, "");
}

TEST(AuditLog, NothingIsAppendedBehindALineThatIsNoEntry) {
  const TemporaryFolder folder;
  const std::filesystem::path log = folder / "audit.log";
  write(log, "hello\n");
  const Error error = error_of([&] { append(log, {{"event", "x"}}, Flush::yes); });
  EXPECT_EQ(error.kind(), Kind::io);
  EXPECT_THAT(error.what(), HasSubstr("nothing is done"));
  EXPECT_EQ(content_of(log), "hello\n");
}

TEST(AuditLog, AThousandEntriesAreVerified) {
  const TemporaryFolder folder;
  const std::filesystem::path log = folder / "audit.log";
  append_many(log, 1000);
  EXPECT_EQ(verify(log, std::nullopt).last.number, 1000u);
}

TEST(AuditLog, ACheckpointIsReadBackAsItWasWritten) {
  const Checkpoint kept{
      {7, std::string(64, 'a')}, "2026-11-20T00:00:00Z", "00ff", "pkcs1:sha256", {1, 2, 3}};
  const std::string text = format(kept);
  const Checkpoint found = parse_checkpoint(as_bytes(text), "kept");
  EXPECT_EQ(found.position.number, 7u);
  EXPECT_EQ(found.signature, kept.signature);
  EXPECT_EQ(signed_bytes(found), signed_bytes(kept));
}

TEST(AuditLog, APrefixOfACheckpointIsMalformed) {
  const Checkpoint kept{{7, std::string(64, 'a')}, "2026-11-20T00:00:00Z", "00ff", "ecdsa:", {1}};
  const std::string text = format(kept);
  for (std::size_t size = 0; size + 2 < text.size(); ++size) {
    const Error error = error_of([&] { parse_checkpoint(as_bytes(text.substr(0, size)), "kept"); });
    EXPECT_EQ(error.kind(), Kind::malformed) << size;
  }
}

}  // namespace
}  // namespace hsmith::audit
