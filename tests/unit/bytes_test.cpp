#include "src/base/bytes.h"

#include <gtest/gtest.h>

namespace hsmith {
namespace {

TEST(Bytes, HexIsLowerCaseWithoutSeparators) {
  EXPECT_EQ(hex(Bytes{0x00, 0x0a, 0xFF}), "000aff");
  EXPECT_EQ(hex(Bytes{}), "");
}

TEST(Bytes, HexIsReadInEitherCaseWithAndWithoutColons) {
  const Bytes expected{0x00, 0x0a, 0xff};
  EXPECT_EQ(parse_hex("000aff"), expected);
  EXPECT_EQ(parse_hex("000AFF"), expected);
  EXPECT_EQ(parse_hex("00:0a:FF"), expected);
}

TEST(Bytes, WhatIsNotHexIsRefused) {
  for (const char* text :
       {"", "0", "000", "0g", "0x00", " 00", "00 ", ":00", "00:", "00::00", "00-00", "0:0"}) {
    EXPECT_EQ(parse_hex(text), std::nullopt) << text;
  }
}

TEST(Bytes, HexReadsBackWhatItWrote) {
  Bytes every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte.push_back(static_cast<unsigned char>(byte));
  EXPECT_EQ(parse_hex(hex(every_byte)), every_byte);
}

TEST(Bytes, EqualComparesLengthAndContent) {
  const Bytes a{1, 2};
  EXPECT_TRUE(equal(a, Bytes{1, 2}));
  EXPECT_FALSE(equal(a, Bytes{1, 3}));
  EXPECT_FALSE(equal(a, Bytes{1}));
  EXPECT_FALSE(equal(a, Bytes{1, 2, 3}));
  EXPECT_TRUE(equal(Bytes{}, Bytes{}));
}

TEST(Bytes, TextAndBytesAreTwoViewsOfTheSame) {
  const std::string text("a\0\xff", 3);
  EXPECT_EQ(to_bytes(as_bytes(text)), (Bytes{'a', 0, 0xff}));
  EXPECT_EQ(as_text(as_bytes(text)), text);
}

}  // namespace
}  // namespace hsmith
