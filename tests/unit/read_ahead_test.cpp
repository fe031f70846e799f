#include "src/base/read_ahead.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <string>

#include "src/base/error.h"
#include "tests/support/error_of.h"

namespace hsmith {
namespace {

using tests::error_of;

// A source of `count` blocks that count up, and then the end.
ReadAhead::Read counting(int count) {
  return [i = 0, count](Bytes& block) mutable -> std::size_t {
    if (i == count) return 0;
    std::fill(block.begin(), block.end(), static_cast<unsigned char>(++i));
    return block.size() - static_cast<std::size_t>(i == count);  // the last one is not full
  };
}

TEST(ReadAhead, GivesEveryBlockOnceAndInOrder) {
  ReadAhead ahead(counting(50), 100);
  for (int i = 1; i <= 50; ++i) {
    const ByteView block = ahead.next();
    ASSERT_EQ(block.size(), i == 50 ? 99u : 100u);
    EXPECT_EQ(block.front(), i);
    EXPECT_EQ(block.back(), i);
  }
  EXPECT_TRUE(ahead.next().empty());
}

TEST(ReadAhead, LeavesTheCallersBlockAloneWhileItReadsTheNext) {
  ReadAhead ahead(counting(3), 100);
  const ByteView first = ahead.next();
  ASSERT_EQ(first.front(), 1);
  EXPECT_EQ(ahead.next().front(), 2);
  EXPECT_EQ(ahead.next().front(), 3);
}

TEST(ReadAhead, TellsAFailureAfterTheBlocksBeforeIt) {
  ReadAhead ahead(
      [i = 0](Bytes&) mutable -> std::size_t {
        if (++i == 3) throw Error(Kind::io, "read: the disk is gone");
        return 7;
      },
      100);
  EXPECT_EQ(ahead.next().size(), 7u);
  EXPECT_EQ(ahead.next().size(), 7u);
  EXPECT_EQ(error_of([&] { ahead.next(); }).kind(), Kind::io);
}

TEST(ReadAhead, EndsWhenItsCallerGivesUp) {
  ReadAhead ahead(counting(1 << 20), 100);
  ahead.next();
}

}  // namespace
}  // namespace hsmith
