#include "src/recovery/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace hsmith::recovery {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Pair;

std::vector<std::vector<std::size_t>> chosen(Selection selection, std::size_t usable,
                                             std::size_t per_key, std::size_t keys) {
  std::vector<std::vector<std::size_t>> all;
  std::int64_t cursor = random_cursor();
  for (std::size_t i = 0; i < keys; ++i, cursor += cursor_step(selection, per_key))
    all.push_back(select_agents(selection, usable, per_key, cursor));
  return all;
}

TEST(Selection, RoundRobinGivesEachAgentTheSameNumberOfKeys) {
  std::map<std::size_t, int> keys;
  for (const auto& agents : chosen(Selection::round_robin, 5, 2, 5000)) {
    EXPECT_EQ(agents.size(), 2U);
    for (const std::size_t agent : agents) ++keys[agent];
  }
  EXPECT_EQ(keys.size(), 5U);
  EXPECT_THAT(keys, Each(Pair(::testing::_, 2000)));
}

TEST(Selection, RoundRobinOfFourByTwoIsTwoFixedPairs) {
  const auto all = chosen(Selection::round_robin, 4, 2, 100);
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), 2U);
}

TEST(Selection, SpreadTakesEverySubsetInTurn) {
  const auto all = chosen(Selection::spread, 4, 2, 600);
  std::map<std::vector<std::size_t>, int> times;
  for (const auto& agents : all) ++times[agents];
  EXPECT_EQ(times.size(), 6U);
  EXPECT_THAT(times, Each(Pair(::testing::_, 100)));
}

TEST(Selection, AllTakesAll) {
  EXPECT_THAT(select_agents(Selection::all, 3, 1, 7), ElementsAre(0, 1, 2));
}

TEST(Selection, ManyAgentsDoNotOverflow) {
  for (std::int64_t cursor = 0; cursor < 50; ++cursor) {
    const auto agents = select_agents(Selection::spread, 200, 100, random_cursor());
    EXPECT_EQ(std::set(agents.begin(), agents.end()).size(), 100U);
    EXPECT_LT(agents.back(), 200U);
  }
}

}  // namespace
}  // namespace hsmith::recovery
