#include "src/base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

namespace hsmith {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Text, PrintableLeavesOrdinaryTextAlone) {
  EXPECT_EQ(printable("Web Server, 香港 é"), "Web Server, 香港 é");
}

TEST(Text, PrintableEscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\x1b[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(printable("a\nb\rc\td"), "a\\x0ab\\x0dc\\x09d");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\x7f"), "\\x7f");
  EXPECT_EQ(printable("\u009b2J"), "\\u{009b}2J");
}

TEST(Text, PrintableEscapesWhatDeceivesTheEye) {
  EXPECT_EQ(printable("a\u202eb"), "a\\u{202e}b");
  EXPECT_EQ(printable("a\u200bb"), "a\\u{200b}b");
  EXPECT_EQ(printable("\ufeffa"), "\\u{feff}a");
  EXPECT_EQ(printable("\u2066a"), "\\u{2066}a");
  EXPECT_EQ(printable("\U000e0041"), "\\u{e0041}");
}

TEST(Text, PrintableShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("a\xff"), "a\\xff");
  EXPECT_EQ(printable("\xc3"), "\\xc3");
  EXPECT_EQ(printable("\xc3(a"), "\\xc3(a");
}

TEST(Text, PrintableCannotBeMistakenForAnEscape) {
  EXPECT_EQ(printable("\\x1b"), "\\\\x1b");
  EXPECT_NE(printable("\\x1b"), printable("\x1b"));
}

TEST(Text, PrintableCutsWithACount) {
  EXPECT_EQ(printable(std::string(12, 'a'), 10), "aaaaaaaaaa[2 bytes more]");
  EXPECT_EQ(printable(std::string(10, 'a'), 10), "aaaaaaaaaa");
}

TEST(Text, QuotedIsPrintableInQuotes) {
  EXPECT_EQ(quoted(std::string_view("a\nb")), "\"a\\x0ab\"");
}

TEST(Text, Utf8IsWellFormedOrNot) {
  for (const char* text : {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(text)) << printable(text);
  }
  // Overlong forms, surrogates, beyond U+10FFFF, cut short, a lone continuation.
  for (const char* text : {"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
                           "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3",
                           "\xe2\x82", "\xf0\x9f\x98", "\x80", "\xff", "a\xc3(b"}) {
    EXPECT_FALSE(is_utf8(text)) << printable(text);
  }
}

TEST(Text, SuggestsOnlyWhatIsNear) {
  const std::vector<std::string> words{"token", "module", "pin_source"};
  EXPECT_EQ(did_you_mean("tokn", words), "token");
  EXPECT_EQ(did_you_mean("modul", words), "module");
  EXPECT_EQ(did_you_mean("token", words), "token");
  EXPECT_EQ(did_you_mean("zebra", words), std::nullopt);
  EXPECT_EQ(did_you_mean("", words), std::nullopt);
  EXPECT_EQ(did_you_mean("token", {}), std::nullopt);
}

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_THAT(split("a,b", ','), ElementsAre("a", "b"));
  EXPECT_THAT(split("a,,b,", ','), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split(",", ','), ElementsAre("", ""));
  EXPECT_THAT(split("", ','), IsEmpty());
}

TEST(Text, TrimAndLowerKnowAsciiOnly) {
  EXPECT_EQ(trim(" \t\r\n a b \v\f"), "a b");
  EXPECT_EQ(trim("  "), "");
  EXPECT_EQ(lower("AbZ-É"), "abz-É");
}

TEST(Text, FileNamesAreSafeAndDifferent) {
  EXPECT_EQ(file_name_for("Ab-09"), "Ab-09");
  EXPECT_EQ(file_name_for("../a b"), "_2E_2E_2Fa_20b");
  EXPECT_EQ(file_name_for("_2E"), "_5F2E");
  EXPECT_EQ(file_name_for(""), "_");
  std::set<std::string> names;
  for (int byte = 0; byte < 256; ++byte) names.insert(file_name_for(std::string(1, char(byte))));
  EXPECT_EQ(names.size(), 256u);
}

TEST(Text, TimesAreWrittenAsRfc3339) {
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(1773532800), "2026-03-15T00:00:00Z");
  EXPECT_EQ(rfc3339(4102444799), "2099-12-31T23:59:59Z");
  EXPECT_EQ(rfc3339(-1), "1969-12-31T23:59:59Z");
}

TEST(Text, TimesAreReadWithZOffsetFractionOrAsADate) {
  EXPECT_EQ(parse_time("2026-03-15T00:00:00Z"), 1773532800);
  EXPECT_EQ(parse_time("2026-03-15T00:00:00z"), 1773532800);
  EXPECT_EQ(parse_time("2026-03-15"), 1773532800);
  EXPECT_EQ(parse_time("2026-03-15T08:00:00+08:00"), 1773532800);
  EXPECT_EQ(parse_time("2026-03-14T18:30:00-05:30"), 1773532800);
  EXPECT_EQ(parse_time("2026-03-15T00:00:00.123Z"), 1773532800);
  EXPECT_EQ(parse_time("2024-02-29"), 1709164800);
}

TEST(Text, WhatIsNoTimeIsRefused) {
  for (const char* text : {"",
                           "today",
                           "2026",
                           "2026-3-15",
                           "2026-03-15 ",
                           "2026-13-01",
                           "2026-02-30",
                           "2025-02-29",
                           "2026-00-10",
                           "2026-01-00",
                           "2026-03-15T00:00:00",
                           "2026-03-15T24:00:01Z",
                           "2026-03-15T00:60:00Z",
                           "2026-03-15T0:00:00Z",
                           "2026-03-15T 0:00:00Z",
                           "2026-03-15T00:00:00.Z",
                           "2026-03-15T00:00:00+8:00",
                           "2026-03-15T00:00:00+0800",
                           "2026-03-15T00:00:00+99:00",
                           "2026-03-15T00:00:00Zjunk",
                           "+026-03-15",
                           " 026-03-15"}) {
    EXPECT_EQ(parse_time(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_time(std::string_view("2026-03-15T00:00:00Z\0x", 22)), std::nullopt);
}

}  // namespace
}  // namespace hsmith
