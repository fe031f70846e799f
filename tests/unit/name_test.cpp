#include "src/x509/name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/text.h"
#include "src/ossl/check.h"
#include "tests/support/error_of.h"

namespace hsmith::x509 {
namespace {

using ::testing::HasSubstr;
using tests::error_of;

std::string types_of(const X509_NAME* name) {
  std::string types;
  for (const SubjectPart& part : name_parts(name)) types += part.type + " ";
  return types;
}

int string_type_of(const X509_NAME* name, int entry) {
  return ASN1_STRING_type(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, entry)));
}

// A name as a hostile file may have it: no rule of ours was asked.
ossl::Name raw_name(int nid, int type, std::string_view value) {
  ossl::Name name(X509_NAME_new());
  EXPECT_EQ(X509_NAME_add_entry_by_NID(name.get(), nid, type, as_bytes(value).data(),
                                       static_cast<int>(value.size()), -1, 0),
            1);
  return name;
}

TEST(Name, PutsTheLastFieldOfTheTextFirst) {
  const ossl::Name name = parse_name("CN=www.example.com,O=Example Ltd,C=HK");
  EXPECT_EQ(types_of(name.get()), "C O CN ");
  EXPECT_EQ(name_text(name.get()), "CN=www.example.com,O=Example Ltd,C=HK");
}

TEST(Name, ReadsEscapesAndWritesThemBack) {
  for (const char* text : {
           R"(O=Foo\, Bar \+ Baz)",
           R"(O=\#1 "quotes" \<\>\;)",
           R"(CN=\ leading and trailing\ )",
           R"(CN=back\\slash)",
           R"(CN=Müller,L=香港)",
           "CN=a+UID=b,C=HK",
       }) {
    const std::string plain =
        std::string(text).find('"') != std::string::npos ? R"(O=\#1 \"quotes\" \<\>\;)" : text;
    const ossl::Name name = parse_name(plain);
    const ossl::Name again = parse_name(name_text(name.get()));
    EXPECT_TRUE(same_encoding(name.get(), again.get())) << text;
  }
  EXPECT_EQ(last_value(parse_name(R"(O=Foo\2C Bar)").get(), "O"), "Foo, Bar");
  EXPECT_EQ(last_value(parse_name("CN = spaces around , C = HK").get(), "CN"), "spaces around");
}

TEST(Name, KnowsTheNamesThatOtherProgramsUse) {
  const ossl::Name name = parse_name("E=a@example.com,cn=x,S=Kowloon,2.5.4.10=Org,1.2.3.4=other");
  EXPECT_EQ(types_of(name.get()), "1.2.3.4 O ST CN emailAddress ");
}

TEST(Name, UsesTheStringTypesOfRfc5280) {
  const ossl::Name name = parse_name("emailAddress=a@example.com,serialNumber=123,CN=x,C=HK");
  EXPECT_EQ(string_type_of(name.get(), 0), V_ASN1_PRINTABLESTRING);
  EXPECT_EQ(string_type_of(name.get(), 1), V_ASN1_UTF8STRING);
  EXPECT_EQ(string_type_of(name.get(), 2), V_ASN1_PRINTABLESTRING);
  EXPECT_EQ(string_type_of(name.get(), 3), V_ASN1_IA5STRING);
}

TEST(Name, OrdersSingleFields) {
  const std::vector<SubjectPart> parts{{"CN", "www"},      {"emailAddress", "a@example.com"},
                                       {"OU", "first"},    {"C", "HK"},
                                       {"OU", "second"},   {"O", "Org"},
                                       {"L", "Hong Kong"}, {"ST", "HK"}};
  const ossl::Name name = name_from_parts(parts);
  EXPECT_EQ(types_of(name.get()), "C ST L O OU OU CN emailAddress ");
  EXPECT_EQ(name_parts(name.get())[4].value, "first");
}

TEST(Name, NamesTheFieldThatIsWrong) {
  const struct {
    std::string text;
    const char* message;
  } cases[] = {
      {"C=Hong Kong", "field C = \"Hong Kong\": a country is two capital letters"},
      {"C=hk", "a country is two capital letters"},
      {"CN=" + std::string(65, 'a'), "it has 65 characters, more than 64"},
      {"O=" + std::string(65, 'a'), "field O"},
      {"CN=", "field CN = \"\": it is empty"},
      {"emailAddress=ü@example.com", "only ASCII may stand there"},
      {"serialNumber=a_b", "field serialNumber"},
      {"CN=a\nb", "it holds invisible characters"},
      {"CN=a\\00b", "it holds invisible characters"},
      {"CN=\\E2\\80\\AE", "it holds invisible characters"},
      {"CN=\\FF", "it is not UTF-8"},
      {"CX=x", "field \"CX\": no such field"},
      {"1.2.abc=x", "no such field"},
      {"9.9.9=x", "no such field"},
  };
  for (const auto& [text, message] : cases) {
    const Error error = error_of([&] { parse_name(text); });
    EXPECT_EQ(error.kind(), Kind::usage) << text;
    EXPECT_THAT(error.what(), HasSubstr(message)) << text;
  }
}

TEST(Name, CountsCharactersAndNotBytes) {
  std::string longest = "CN=";
  for (int i = 0; i < 64; ++i) longest += "香";
  EXPECT_EQ(X509_NAME_entry_count(parse_name(longest).get()), 1);
}

TEST(Name, RefusesBadSyntax) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"", "it is empty"},
      {"   ", "it is empty"},
      {"/C=HK/CN=x", "it begins with '/'"},
      {"www.example.com", "no '=' after \"www.example.com\""},
      {"CN=x,", "no '=' after \"\""},
      {"=x", "a field has no name"},
      {"CN=a;b", "a ; in a value must be written as \\;"},
      {"CN=\"a\"", "must be written as \\\""},
      {"CN=#04024869", "values in hexadecimal are not taken"},
      {"CN=a\\", "must be followed by the character"},
      {"CN=a\\4", "must be followed"},
      {"CN=a\\zz", "must be followed"},
  };
  for (const auto& [text, message] : cases) {
    const Error error = error_of([&] { parse_name(text); });
    EXPECT_EQ(error.kind(), Kind::usage) << text;
    EXPECT_THAT(error.what(), HasSubstr(message)) << text;
  }
  EXPECT_THAT(error_of([] { parse_name(std::string(9000, 'a')); }).what(), HasSubstr("8 KiB"));
}

TEST(Name, SuggestsTheFieldThatWasMeant) {
  EXPECT_EQ(error_of([] { parse_name("emailAdress=a@example.com"); }).hint(),
            "did you mean emailAddress?");
}

TEST(Name, WritesHostileValuesOnOneSafeLine) {
  const std::string value(
      "a\n\x1b[31m\0\xe2\x80\xae"
      "b,CN=good",
      20);
  const ossl::Name name = raw_name(NID_commonName, V_ASN1_UTF8STRING, value);
  const std::string text = name_text(name.get());
  EXPECT_EQ(text, R"(CN=a\0A\1B[31m\00\E2\80\AEb\,CN=good)");
  EXPECT_EQ(printable(text).find('\n'), std::string::npos);
  EXPECT_EQ(name_parts(name.get())[0].value, value);
}

TEST(Name, WritesValuesThatAreNoTextAsDer) {
  const Bytes der{0x30, 14, 0x31, 12, 0x30, 10, 6, 3, 0x55, 4, 3, 3, 3, 0, 0x41, 0xff};
  const unsigned char* at = der.data();
  const ossl::Name name(d2i_X509_NAME(nullptr, &at, static_cast<long>(der.size())));
  EXPECT_EQ(name_text(name.get()), "CN=#03030041ff");
  const ossl::Name broken = raw_name(NID_commonName, V_ASN1_UTF8STRING, "\xff\xfe");
  EXPECT_EQ(name_text(broken.get()), "CN=#0c02fffe");
}

TEST(Name, CutsWhatIsTooLongToShow) {
  const ossl::Name name = raw_name(NID_commonName, V_ASN1_UTF8STRING, std::string(100000, 'a'));
  const std::string text = name_text(name.get());
  EXPECT_LT(text.size(), 8300u);
  EXPECT_THAT(text, HasSubstr("[cut, 1 fields]"));
}

TEST(Name, ComparesLikeRfc5280AndLikeBytes) {
  const ossl::Name a = parse_name("CN=Example  Ltd");
  const ossl::Name b = parse_name("CN=example ltd");
  EXPECT_TRUE(same_name(a.get(), b.get()));
  EXPECT_FALSE(same_encoding(a.get(), b.get()));
}

}  // namespace
}  // namespace hsmith::x509
