#include "tokens/uri.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/error_of.h"
#include "tests/support/shared_data.h"

namespace hsmith::tokens {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::error_of;

std::string message_of(std::string_view text) {
  const Error error = error_of([&] { parse_uri(text); });
  EXPECT_EQ(error.kind(), Kind::usage) << text;
  return error.what();
}

TEST(Uri, ReadsEveryAttribute) {
  const Uri uri = parse_uri(
      "pkcs11:token=t;manufacturer=m;serial=0001;model=x;library-manufacturer=lm;"
      "library-description=ld;library-version=2.6;slot-manufacturer=sm;slot-description=sd;"
      "slot-id=7;object=o;type=private;id=%0A%0b?pin-source=file:/p&module-name=n&module-path=/l");
  EXPECT_EQ(uri.token, "t");
  EXPECT_EQ(uri.manufacturer, "m");
  EXPECT_EQ(uri.serial, "0001");
  EXPECT_EQ(uri.model, "x");
  EXPECT_EQ(uri.library_manufacturer, "lm");
  EXPECT_EQ(uri.library_description, "ld");
  ASSERT_TRUE(uri.library_version);
  EXPECT_EQ(uri.library_version->major_part, 2);
  EXPECT_EQ(uri.library_version->minor_part, 6);
  EXPECT_EQ(uri.slot_manufacturer, "sm");
  EXPECT_EQ(uri.slot_description, "sd");
  EXPECT_EQ(uri.slot_id, 7u);
  EXPECT_EQ(uri.object, "o");
  EXPECT_EQ(uri.type, ObjectType::private_key);
  EXPECT_EQ(uri.id, (Bytes{0x0a, 0x0b}));
  EXPECT_EQ(uri.pin_source, "file:/p");
  EXPECT_EQ(uri.module_name, "n");
  EXPECT_EQ(uri.module_path, "/l");
}

TEST(Uri, ReadsEveryType) {
  EXPECT_EQ(parse_uri("pkcs11:type=cert").type, ObjectType::cert);
  EXPECT_EQ(parse_uri("pkcs11:type=data").type, ObjectType::data);
  EXPECT_EQ(parse_uri("pkcs11:type=private").type, ObjectType::private_key);
  EXPECT_EQ(parse_uri("pkcs11:type=public").type, ObjectType::public_key);
  EXPECT_EQ(parse_uri("pkcs11:type=secret-key").type, ObjectType::secret_key);
}

TEST(Uri, ReadsAPinValueIntoASecret) {
  const Uri uri = parse_uri("pkcs11:token=t?pin-value=12%2534");
  ASSERT_TRUE(uri.pin_value);
  EXPECT_EQ(as_text(uri.pin_value->reveal()), "12%34");
}

TEST(Uri, KeepsAnEmptyValueApartFromAnAbsentOne) {
  const Uri uri = parse_uri("pkcs11:id=;object=");
  EXPECT_EQ(uri.id, Bytes{});
  EXPECT_EQ(uri.object, "");
  EXPECT_FALSE(uri.token);
}

TEST(Uri, ToleratesVendorAttributesAndLetsThemRepeatInTheQueryOnly) {
  EXPECT_EQ(parse_uri("pkcs11:x-a=1;token=t?x-b=1&x-b=2").token, "t");
  EXPECT_THAT(message_of("pkcs11:x-a=1;x-a=2"), HasSubstr("\"x-a\" is given twice"));
  EXPECT_THAT(message_of("pkcs11:x-a=%4"), HasSubstr("two hex digits"));
}

TEST(Uri, NamesTheNearestAttributeForAnUnknownOne) {
  EXPECT_THAT(message_of("pkcs11:tokn=a"), HasSubstr("there is no attribute \"tokn\", did you mean "
                                                     "\"token\"? (at position 8)"));
  EXPECT_THAT(message_of("pkcs11:?pin-sorce=a"), HasSubstr("did you mean \"pin-source\""));
  EXPECT_THAT(message_of("pkcs11:zzzzzz=a"), Not(HasSubstr("did you mean")));
}

TEST(Uri, SaysThatAQueryAttributeBelongsAfterTheQuestionMark) {
  EXPECT_THAT(message_of("pkcs11:token=a;pin-source=/p"), HasSubstr("belongs after a '?'"));
}

TEST(Uri, RefusesDuplicatesWithTheirPosition) {
  EXPECT_STREQ(message_of("pkcs11:token=a;id=%01;token=a").c_str(),
               "read the PKCS#11 URI: \"token\" is given twice (at position 23)");
  EXPECT_THAT(message_of("pkcs11:?module-name=a&module-name=a"), HasSubstr("(at position 23)"));
}

TEST(Uri, RefusesMalformedPercentEncodingWithItsPosition) {
  EXPECT_STREQ(message_of("pkcs11:object=T%xx").c_str(),
               "read the PKCS#11 URI: '%' is not followed by two hex digits (at position 16)");
  EXPECT_THAT(message_of("pkcs11:object=Test%"), HasSubstr("position 19"));
  EXPECT_THAT(message_of("pkcs11:object=Test%4"), HasSubstr("position 19"));
  EXPECT_THAT(message_of("pkcs11:id=%:a"), HasSubstr("position 11"));
}

TEST(Uri, TellsHowToWriteACharacterThatMustBeEncoded) {
  EXPECT_STREQ(message_of("pkcs11:object=a b").c_str(),
               "read the PKCS#11 URI: a character of \"object\" must be written as %20 "
               "(at position 16)");
  EXPECT_THAT(message_of("pkcs11:object=a/b"), HasSubstr("%2F"));
  EXPECT_THAT(message_of("pkcs11:object=a#b"), HasSubstr("%23"));
  EXPECT_THAT(message_of("pkcs11:object=\xc3\xa1"), HasSubstr("%C3"));
  EXPECT_THAT(message_of(std::string_view("pkcs11:object=a\0b", 17)), HasSubstr("%00"));
}

TEST(Uri, RefusesWhatIsNoAttribute) {
  EXPECT_THAT(message_of("pkcs11:token"), HasSubstr("name=value (at position 8)"));
  EXPECT_THAT(message_of("pkcs11:token=a;"), HasSubstr("(at position 16)"));
  EXPECT_THAT(message_of("pkcs11:;token=a"), HasSubstr("(at position 8)"));
  EXPECT_THAT(message_of("pkcs11:=a"), HasSubstr("there is no attribute \"\""));
}

TEST(Uri, RefusesAnotherScheme) {
  EXPECT_THAT(message_of("http:token=a"), HasSubstr("does not begin with \"pkcs11:\""));
  EXPECT_THAT(message_of(""), HasSubstr("does not begin"));
  EXPECT_THAT(message_of("pkcs11"), HasSubstr("does not begin"));
}

TEST(Uri, TakesTheSchemeInAnyCase) { EXPECT_EQ(parse_uri("PkCs11:token=a").token, "a"); }

TEST(Uri, RefusesANumberThatDoesNotFit) {
  EXPECT_THAT(message_of("pkcs11:slot-id=99999999999999999999"), HasSubstr("not a number"));
  EXPECT_THAT(message_of("pkcs11:slot-id=-1"), HasSubstr("not a number"));
  EXPECT_THAT(message_of("pkcs11:slot-id="), HasSubstr("not a number"));
  EXPECT_THAT(message_of("pkcs11:library-version=1.256"), HasSubstr("not a number"));
  EXPECT_THAT(message_of("pkcs11:library-version=1."), HasSubstr("not a number"));
  EXPECT_THAT(message_of("pkcs11:library-version=1.2.3"), HasSubstr("not a number"));
}

TEST(Uri, RefusesAValueThatIsLongerThanItsField) {
  EXPECT_EQ(parse_uri("pkcs11:serial=0123456789abcdef").serial, "0123456789abcdef");
  EXPECT_THAT(message_of("pkcs11:serial=0123456789abcdefX"),
              HasSubstr("has 17 bytes and so can match nothing: the field has 16"));
}

TEST(Uri, RefusesAnUnknownType) {
  EXPECT_THAT(message_of("pkcs11:type=key"), HasSubstr("not \"key\""));
}

TEST(Uri, RefusesAPinSourceTogetherWithAPinValue) {
  EXPECT_THAT(message_of("pkcs11:?pin-source=/p&pin-value=1"), HasSubstr("exclude each other"));
}

TEST(Uri, RefusesANulInWhatTheSystemTakesAsAName) {
  EXPECT_THAT(message_of("pkcs11:?pin-source=/p%00x"), HasSubstr("holds a NUL"));
  EXPECT_THAT(message_of("pkcs11:?module-path=/p%00x"), HasSubstr("holds a NUL"));
}

TEST(Uri, NeverRepeatsAPinInAMessage) {
  for (const char* text :
       {"pkcs11:token=a?pin-value=geheim%", "pkcs11:token=a?pin-value=geheim%zz",
        "pkcs11:token=a?pin-value=geheim geheim",
        "pkcs11:token=a?pin-value=geheim&pin-value=geheim",
        "pkcs11:token=a;token=b?pin-value=geheim", "pkcs11:token=a?pin-value:geheim",
        "pkcs11:pin-value=geheim", "pkcs11:token=a?pin-source=/p&pin-value=geheim",
        "http:token=a?pin-value=geheim"}) {
    EXPECT_THAT(message_of(text), Not(HasSubstr("geheim"))) << text;
  }
}

TEST(Uri, RefusesToLoadAModuleThatAUriNames) {
  const Uri uri = parse_uri("pkcs11:token=a?module-path=/tmp/evil.so");
  const Error error = error_of([&] { refuse_unsafe(uri); });
  EXPECT_EQ(error.kind(), Kind::refused);
  EXPECT_EQ(error.exit_status(), 7);
  EXPECT_STREQ(error.what(), "use the URI: its module-path would load \"/tmp/evil.so\"");
  EXPECT_THAT(error.hint(), HasSubstr("--module"));
}

TEST(Uri, RefusesAPinSourceThatIsNotAFile) {
  for (const char* source : {"|cat%20/p", "cmd:cat", "CMD:cat", "env:X", "fd:3", "http://x"}) {
    const Uri uri = parse_uri(std::string("pkcs11:?pin-source=") + source);
    EXPECT_EQ(error_of([&] { refuse_unsafe(uri); }).kind(), Kind::refused) << source;
  }
  for (const char* source : {"/p", "p", "file:/p", "FILE:p", "/a:b", "a%2Fb:c"}) {
    EXPECT_NO_THROW(refuse_unsafe(parse_uri(std::string("pkcs11:?pin-source=") + source)));
  }
}

TEST(Uri, PrintsTheCanonicalForm) {
  Uri uri;
  uri.type = ObjectType::private_key;
  uri.object = "web server@2";
  uri.id = Bytes{0x0a, 0x0b, 'A'};
  uri.token = "prod";
  EXPECT_EQ(format(uri), "pkcs11:token=prod;id=%0A%0B%41;object=web%20server%402;type=private");
}

TEST(Uri, PrintsNothingOfTheQuery) {
  EXPECT_EQ(format(parse_uri("pkcs11:object=a?pin-value=1234&module-path=/l&module-name=n")),
            "pkcs11:object=a");
  EXPECT_EQ(format(parse_uri("pkcs11:?pin-source=/p")), "pkcs11:");
}

TEST(Uri, PrintsTheRestBetweenTokenAndId) {
  const char* text =
      "pkcs11:token=t;manufacturer=m;model=x;serial=1;library-manufacturer=lm;"
      "library-description=ld;library-version=2.6;slot-manufacturer=sm;slot-description=sd;"
      "slot-id=7;id=%01;object=o;type=secret-key";
  EXPECT_EQ(format(parse_uri(text)), text);
  EXPECT_EQ(format(parse_uri("pkcs11:library-version=3")), "pkcs11:library-version=3.0");
}

TEST(Uri, AcceptsBackWhatItPrintsForEveryByte) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  Uri uri;
  uri.object = every_byte;
  uri.id = to_bytes(as_bytes(every_byte));
  const Uri again = parse_uri(format(uri));
  EXPECT_EQ(again.object, every_byte);
  EXPECT_EQ(again.id, uri.id);
  EXPECT_EQ(format(again), format(uri));
}

// The names that the collected cases give the parts of a URI.
std::optional<std::string> part_of(const Uri& uri, const std::string& name) {
  if (name == "object") return uri.object;
  if (name == "token") return uri.token;
  if (name == "slot-description") return uri.slot_description;
  if (name == "pin-source") return uri.pin_source;
  if (name == "module-name") return uri.module_name;
  if (name == "module-path") return uri.module_path;
  if (name == "id_hex" && uri.id) return hex(*uri.id);
  const std::string text = format(uri);
  const std::size_t at = text.find(name + "=");
  if (at == std::string::npos) return std::nullopt;
  const std::size_t start = at + name.size() + 1;
  return text.substr(start, text.find(';', start) - start);
}

TEST(Uri, PassesTheCollectedConformanceCases) {
  std::ifstream file(tests::shared_data("data/conformance/pkcs11-uri/cases.json"));
  if (!file) GTEST_SKIP() << "skipped: no conformance data";
  const auto cases = nlohmann::json::parse(file);
  ASSERT_GE(cases.size(), 26u);
  for (const auto& item : cases) {
    SCOPED_TRACE(item["id"].get<std::string>());
    const auto text = item["uri"].get<std::string>();
    if (item["expect"] == "reject") {
      EXPECT_EQ(error_of([&] { parse_uri(text); }).kind(), Kind::usage);
      continue;
    }
    const Uri uri = parse_uri(text);
    for (const auto& [name, value] : item["parts"].items()) EXPECT_EQ(part_of(uri, name), value);
  }
}

}  // namespace
}  // namespace hsmith::tokens
