#include "src/base/secret.h"

#include <gtest/gtest.h>
#include <type_traits>
#include <utility>

namespace hsmith {
namespace {

static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);

bool is_wiped(const unsigned char* memory, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    if (memory[i] != 0) return false;
  }
  return true;
}

TEST(Secret, RevealsWhatItWasGiven) {
  const Secret secret(std::string_view("1234"));
  EXPECT_EQ(as_text(secret.reveal()), "1234");
  EXPECT_EQ(secret.size(), 4u);
  EXPECT_FALSE(secret.empty());
  EXPECT_TRUE(Secret().empty());
}

TEST(Secret, TakingOverWipesWhereItCameFrom) {
  Bytes bytes{1, 2, 3, 4};
  const unsigned char* memory = bytes.data();  // clear() keeps it
  const Secret secret = Secret::take(std::move(bytes));
  EXPECT_TRUE(is_wiped(memory, 4));
  EXPECT_TRUE(bytes.empty());
  EXPECT_EQ(to_bytes(secret.reveal()), (Bytes{1, 2, 3, 4}));
}

TEST(Secret, TakingOverAStringWipesShortAndLongOnes) {
  for (const std::size_t size : {4u, 4000u}) {
    std::string text(size, 'x');
    const auto* memory = reinterpret_cast<const unsigned char*>(text.data());
    const Secret secret = Secret::take(std::move(text));
    EXPECT_TRUE(is_wiped(memory, size));
    EXPECT_EQ(secret.size(), size);
  }
}

TEST(Secret, MovingLeavesTheSourceEmpty) {
  Secret first(std::string_view("1234"));
  Secret second(std::move(first));
  EXPECT_TRUE(first.empty());
  Secret third;
  third = std::move(second);
  EXPECT_TRUE(second.empty());
  EXPECT_EQ(as_text(third.reveal()), "1234");
}

TEST(Secret, MovingOntoItselfChangesNothing) {
  Secret secret(std::string_view("1234"));
  Secret& same = secret;
  secret = std::move(same);
  EXPECT_EQ(as_text(secret.reveal()), "1234");
}

TEST(Secret, AssignmentReplacesWhatWasHeld) {
  Secret secret(std::string_view("a longer secret"));
  secret = Secret(std::string_view("1234"));
  EXPECT_EQ(as_text(secret.reveal()), "1234");
}

TEST(Secret, WipeOverwritesAndTakesNothingForNothing) {
  Bytes bytes{1, 2, 3};
  wipe(bytes.data(), 2);
  EXPECT_EQ(bytes, (Bytes{0, 0, 3}));
  wipe(nullptr, 0);
}

}  // namespace
}  // namespace hsmith
