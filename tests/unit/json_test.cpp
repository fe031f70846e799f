#include "src/base/json.h"

#include <gtest/gtest.h>
#include <string>

namespace hsmith {
namespace {

std::string nested(int depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(Json, BracketsNestAHundredDeepAndNoDeeper) {
  EXPECT_TRUE(is_json(nested(100)));
  EXPECT_NO_THROW(parse_json(nested(100)));
  for (const int depth : {101, 200'000}) {
    EXPECT_FALSE(is_json(nested(depth)));
    EXPECT_THROW(parse_json(nested(depth)), nlohmann::json::exception);
  }
  std::string objects;
  for (int i = 0; i < 101; ++i) objects += R"({"a":)";
  EXPECT_FALSE(is_json(objects + "1" + std::string(101, '}')));
}

TEST(Json, BracketsOneAfterAnotherOrInTextDoNotNest) {
  std::string text = "[";
  for (int i = 0; i < 1000; ++i) text += R"([{"a": 1}], "[[[[\"[[\\", )";
  text += "1]";
  EXPECT_TRUE(is_json(text));
  EXPECT_EQ(parse_json(text).size(), 2001u);
}

TEST(Json, WhatIsNoneIsAnException) {
  for (const std::string text : {"", "[", "]", "{\"a\":}", "\"\\", "[1] 2"}) {
    EXPECT_FALSE(is_json(text)) << text;
    EXPECT_THROW(parse_json(text), nlohmann::json::exception) << text;
  }
}

}  // namespace
}  // namespace hsmith
