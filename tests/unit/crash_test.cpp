#include "cli/crash.h"

#include <gtest/gtest.h>

namespace hsmith::cli {
namespace {

// Never 0; the array keeps the compiler from making a loop of it.
int go_deeper(int depth) {
  volatile char room[4096];
  room[0] = static_cast<char>(depth);
  return depth < 0 ? 1 : go_deeper(depth + 1) + room[0];
}

TEST(Crash, AStackThatOverflowsIsReportedAsAnyOther) {
  const auto overflow = [] {
    report_crashes("hsmith: it crashed\n", "", 9);
    _exit(go_deeper(0) == 0 ? 1 : 2);
  };
  EXPECT_EXIT(overflow(), testing::ExitedWithCode(9), "hsmith: it crashed");
}

}  // namespace
}  // namespace hsmith::cli
