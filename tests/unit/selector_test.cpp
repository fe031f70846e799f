#include "tokens/selector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/error_of.h"

namespace hsmith::tokens {
namespace {

using testing::HasSubstr;
using tests::error_of;

TEST(Selector, TakesABareLabel) {
  const Selector selector = parse_selector("web");
  EXPECT_EQ(selector.label, "web");
  EXPECT_FALSE(selector.id);
  EXPECT_FALSE(selector.type);
  EXPECT_EQ(selector.text, "web");
}

TEST(Selector, TakesALabelThatLooksLikeAnId) {
  const Selector selector = parse_selector("label:id:0a");
  EXPECT_EQ(selector.label, "id:0a");
  EXPECT_FALSE(selector.id);
  EXPECT_EQ(selector.text, "label:id:0a");
}

TEST(Selector, TakesAnIdWithAndWithoutColons) {
  EXPECT_EQ(parse_selector("id:0A0b").id, (Bytes{0x0a, 0x0b}));
  EXPECT_EQ(parse_selector("id:0a:0b").id, (Bytes{0x0a, 0x0b}));
  EXPECT_FALSE(parse_selector("id:0a").label);
}

TEST(Selector, TakesTheObjectAndTheTokenOfAUri) {
  const Selector selector = parse_selector("pkcs11:token=prod;object=web;id=%01;type=private");
  EXPECT_EQ(selector.label, "web");
  EXPECT_EQ(selector.id, Bytes{1});
  EXPECT_EQ(selector.type, ObjectType::private_key);
  EXPECT_EQ(selector.uri.token, "prod");
}

TEST(Selector, KeepsAPinOutOfItsText) {
  const Selector selector = parse_selector("pkcs11:object=web?pin-value=1234");
  EXPECT_EQ(selector.text, "pkcs11:object=web");
  ASSERT_TRUE(selector.uri.pin_value);
}

TEST(Selector, RefusesAnIdThatIsNotHex) {
  for (const char* text : {"id:", "id:0", "id:xy", "id:0a0"}) {
    const Error error = error_of([&] { parse_selector(text); });
    EXPECT_EQ(error.kind(), Kind::usage);
    EXPECT_THAT(error.what(), HasSubstr("pairs of hex digits"));
  }
}

TEST(Selector, RefusesTheEmptyName) {
  EXPECT_EQ(error_of([] { parse_selector(""); }).kind(), Kind::usage);
  EXPECT_STREQ(error_of([] { parse_selector("label:"); }).what(),
               "read the name of an object: it is empty");
}

TEST(Selector, RefusesAUriThatWouldLoadOrRunSomething) {
  EXPECT_EQ(error_of([] { parse_selector("pkcs11:object=a?module-path=/x"); }).kind(),
            Kind::refused);
  EXPECT_EQ(error_of([] { parse_selector("pkcs11:object=a?pin-source=%7Csh"); }).kind(),
            Kind::refused);
}

TEST(Selector, TellsFilesFromObjects) {
  for (const char* file : {"-", "./web", "/etc/web", "a/b", "file:web"}) {
    EXPECT_EQ(meaning_of(file), Meaning::file) << file;
  }
  for (const char* object : {"pkcs11:object=web", "PKCS11:", "id:0a", "label:web", "label:a/b",
                             "pkcs11:?pin-source=/p"}) {
    EXPECT_EQ(meaning_of(object), Meaning::object) << object;
  }
  for (const char* either : {"web", "web.pem", "-x", ""}) {
    EXPECT_EQ(meaning_of(either), Meaning::either) << either;
  }
}

TEST(Selector, TakesTheFilePrefixOff) {
  EXPECT_EQ(file_path("file:web.pem"), "web.pem");
  EXPECT_EQ(file_path("./web.pem"), "./web.pem");
  EXPECT_EQ(file_path("-"), "-");
}

TEST(Selector, AcceptsUsualNewLabels) {
  for (const char* label : {"web", "Web Server 2026", "www.example.hk", "香港", "a\\b", "a:b"}) {
    EXPECT_NO_THROW(check_new_label(label)) << label;
  }
  EXPECT_NO_THROW(check_new_label(std::string(255, 'a')));
}

TEST(Selector, RefusesANewLabelThatMeansSomethingElse) {
  for (const char* label : {"pkcs11:a", "PKCS11:a", "id:a", "label:a", "Label:a", "file:a"}) {
    const Error error = error_of([&] { check_new_label(label); });
    EXPECT_EQ(error.kind(), Kind::usage) << label;
    EXPECT_THAT(error.what(), HasSubstr("at its start means something else")) << label;
  }
  EXPECT_THAT(error_of([] { check_new_label("-"); }).what(), HasSubstr("standard input"));
}

TEST(Selector, RefusesANewLabelWithCharactersThatCannotBeNamed) {
  const auto cause_of = [](std::string_view label) {
    return std::string(error_of([&] { check_new_label(label); }).what());
  };
  EXPECT_EQ(cause_of("web@2"), "use \"web@2\" as a label: it holds '@'");
  EXPECT_THAT(cause_of("a/b"), HasSubstr("it holds '/'"));
  EXPECT_THAT(cause_of(""), HasSubstr("it is empty"));
  EXPECT_THAT(cause_of(std::string(256, 'a')), HasSubstr("it has 256 bytes, more than 255"));
  EXPECT_THAT(cause_of("a\xff"), HasSubstr("it is not UTF-8"));
  EXPECT_THAT(cause_of("a\nb"), HasSubstr("cannot be seen"));
  EXPECT_THAT(cause_of(std::string_view("a\0b", 3)), HasSubstr("cannot be seen"));
  EXPECT_THAT(cause_of("a\u202eb"), HasSubstr("cannot be seen"));
}

}  // namespace
}  // namespace hsmith::tokens
