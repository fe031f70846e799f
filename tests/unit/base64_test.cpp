#include "src/base/base64.h"

#include <gtest/gtest.h>

namespace hsmith {
namespace {

TEST(Base64, WritesTheVectorsOfRfc4648AndReadsThemBack) {
  const char* const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
  const char* const coded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(base64(as_bytes(plain[i])), coded[i]);
    EXPECT_EQ(parse_base64(coded[i]), to_bytes(as_bytes(plain[i])));
  }
}

TEST(Base64, HasTwoAlphabetsThatAreNotTakenForEachOther) {
  const Bytes bytes{0xfb, 0xff, 0xfe};
  EXPECT_EQ(base64(bytes), "+//+");
  EXPECT_EQ(base64url(bytes), "-__-");
  EXPECT_EQ(parse_base64("-__-"), std::nullopt);
  EXPECT_EQ(parse_base64url("+//+"), std::nullopt);
  EXPECT_EQ(parse_base64url("-__-"), bytes);
}

TEST(Base64, ReadsOneTextOnlyForEachSequenceOfBytes) {
  for (const char* text : {"Zh==", "Zm9=", "Zg=", "Zg", "Z", "Zg===", "====", "=",
                           "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm9v====", "Z=g="}) {
    EXPECT_EQ(parse_base64(text), std::nullopt) << text;
  }
  for (const char* text : {"Zh", "Zg==", "Z", "Zm9", "Zm9v=", "Zm9v "}) {
    EXPECT_EQ(parse_base64url(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace hsmith
