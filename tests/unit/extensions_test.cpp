#include "src/x509/extensions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"

namespace hsmith::x509 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using tests::error_of;

std::vector<std::string> parsed(std::string_view text) {
  std::vector<std::string> notices;
  return texts_of(parse_alt_names(text, notices));
}

std::string cause_of(std::string_view text) {
  const Error error = error_of([&] { parsed(text); });
  EXPECT_EQ(error.kind(), Kind::usage) << text;
  return error.what();
}

class Extensions : public ::testing::Test {
 protected:
  ExtensionFacts made(const Wishes& wishes, const char* subject = nullptr) {
    ossl::Name name(X509_NAME_new());
    if (subject != nullptr) {
      X509_NAME_add_entry_by_NID(name.get(), NID_commonName, V_ASN1_UTF8STRING,
                                 as_bytes(subject).data(), -1, -1, 0);
    }
    const ossl::PKey key = tests::generate_software_key("ec:p256");
    key_id_ = hex(ossl::key_identifier(key.get()));
    const ossl::Extensions list = make_extensions(wishes, name.get(), key.get());
    return read_extensions(list.get());
  }

  // An extension list with one hostile value.
  static ExtensionFacts read_raw(int nid, const Bytes& der, int times = 1) {
    const ossl::Extensions list(sk_X509_EXTENSION_new_null());
    const ossl::OctetString value(ASN1_OCTET_STRING_new());
    ASN1_OCTET_STRING_set(value.get(), der.data(), static_cast<int>(der.size()));
    for (int i = 0; i < times; ++i) {
      sk_X509_EXTENSION_push(list.get(),
                             X509_EXTENSION_create_by_NID(nullptr, nid, 0, value.get()));
    }
    return read_extensions(list.get());
  }

  std::string key_id_;
};

TEST_F(Extensions, ComeBackAsTheyWereAskedFor) {
  std::vector<std::string> notices;
  Wishes wishes;
  wishes.names = parse_alt_names(
      "dns:www.example.com,dns:*.example.com,ip:192.0.2.1,ip:2001:DB8::1,email:a@example.com,"
      "uri:https://example.com/a,b,upn:Zoë@example.com",
      notices);
  wishes.key_usage = parse_key_usage("keyEncipherment,digitalsignature");
  wishes.extended_key_usage = parse_extended_key_usage("serverAuth,kra,1.2.3.4");
  wishes.extra.push_back(extra_extension("1.3.6.1.5.5.7.1.24", false, {0x30, 3, 2, 1, 5}));
  const ExtensionFacts facts = made(wishes, "www.example.com");
  EXPECT_EQ(facts.names, wishes.names);
  EXPECT_THAT(
      texts_of(facts.names),
      ElementsAre("dns:www.example.com", "dns:*.example.com", "ip:192.0.2.1", "ip:2001:db8::1",
                  "email:a@example.com", "uri:https://example.com/a\\x2cb", "upn:Zoë@example.com"));
  EXPECT_THAT(facts.key_usage, ElementsAre("digitalSignature", "keyEncipherment"));
  EXPECT_THAT(facts.extended_key_usage, ElementsAre("serverAuth", "kra", "1.2.3.4"));
  EXPECT_THAT(facts.other, ElementsAre("1.3.6.1.5.5.7.1.24"));
  EXPECT_THAT(facts.critical, ElementsAre("2.5.29.15"));
  EXPECT_EQ(facts.subject_key_id, key_id_);
  EXPECT_FALSE(facts.is_ca.has_value());
}

TEST_F(Extensions, MakeTheNamesCriticalWhenThereIsNoSubject) {
  std::vector<std::string> notices;
  Wishes wishes;
  wishes.names = parse_alt_names("dns:a.example", notices);
  EXPECT_THAT(made(wishes).critical, ElementsAre("2.5.29.17"));
  EXPECT_THAT(made(wishes, "a").critical, IsEmpty());
}

TEST(AltNames, TurnInternationalNamesIntoALabelsAndSaySo) {
  std::vector<std::string> notices;
  const auto names =
      parse_alt_names("dns:Bücher.example,dns:*.香港.example,email:a@bücher.example", notices);
  EXPECT_THAT(texts_of(names), ElementsAre("dns:xn--bcher-kva.example", "dns:*.xn--j6w193g.example",
                                           "email:a@xn--bcher-kva.example"));
  ASSERT_EQ(notices.size(), 3u);
  EXPECT_EQ(notices[0], "the name \"Bücher.example\" is written as xn--bcher-kva.example");
}

TEST(AltNames, KeepALabelsAndFoldCase) {
  EXPECT_THAT(parsed("DNS:WWW.Example.COM,dns:xn--bcher-kva.example"),
              ElementsAre("dns:www.example.com", "dns:xn--bcher-kva.example"));
}

TEST(AltNames, DropWhatStandsThereTwice) {
  EXPECT_THAT(parsed("dns:a.example, dns:A.example"), ElementsAre("dns:a.example"));
}

TEST(AltNames, SayWhatIsWrong) {
  const struct {
    std::string text;
    const char* message;
  } cases[] = {
      {"www.example.com", "its kind is missing"},
      {"", "its kind is missing"},
      {"dns:", "it is empty"},
      {"dns:*", "only for the whole left-most label"},
      {"dns:w*.example.com", "only for the whole left-most label"},
      {"dns:www.*.example.com", "only for the whole left-most label"},
      {"dns:*.*.example.com", "only for the whole left-most label"},
      {"dns:a..example", "it has an empty label"},
      {"dns:.example", "it has an empty label"},
      {"dns:example.", "it has an empty label, or a dot at an end"},
      {"dns:a_b.example", "only letters, digits and hyphens"},
      {"dns:a b.example", "only letters, digits and hyphens"},
      {"dns:-a.example", "begin or end with a hyphen"},
      {"dns:192.0.2.1", "an address is written ip:192.0.2.1"},
      {"dns:" + std::string(64, 'a') + ".example", "a label longer than 63"},
      {"dns:" + std::string(2000, 'a'), "longer than 253"},
      {"dns:xn--a.example", "dns:\"xn--a.example\""},
      {"dns:\xff.example", "it is not UTF-8"},
      {std::string("dns:\xc3\xbc\0.example", 14), "it is not UTF-8 text"},
      {"ip:192.0.2.256", "it is no IPv4 or IPv6 address"},
      {"ip:192.0.2.0/24", "it is no IPv4 or IPv6 address"},
      {"ip:", "it is no IPv4 or IPv6 address"},
      {"email:example.com", "it is no user@domain"},
      {"email:a b@example.com", "may stand before '@'"},
      {"email:a@", "it is empty"},
      {"email:a@*.example.com", "its domain is a wildcard"},
      {"email:a@b@example.com", "may stand before '@'"},
      {"uri:example", "it is no absolute URI"},
      {"uri:https://ü", "must be percent-encoded"},
      {"upn:nobody", "it is no user@domain"},
      {"upn:a\xe2\x80\xae@b", "invisible characters"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(cause_of(text), HasSubstr(message)) << text;
  }
}

TEST(AltNames, AreWrittenSoThatNoneLooksLikeTwo) {
  EXPECT_EQ(text_of({AltNameKind::dns, std::string("good.example\0.evil", 18)}),
            "dns:good.example\\x00.evil");
  EXPECT_EQ(text_of({AltNameKind::dns, "a, dns:b"}), "dns:a\\x2c\\x20dns:b");
  EXPECT_EQ(text_of({AltNameKind::email, "a\xe2\x80\xae@b"}), "email:a\\u{202e}@b");
}

TEST(KeyUsage, SuggestsTheNearestWord) {
  const Error error = error_of([] { parse_key_usage("digitalSignatur"); });
  EXPECT_EQ(error.kind(), Kind::usage);
  EXPECT_STREQ(error.what(), "the key usage \"digitalSignatur\": not known");
  EXPECT_EQ(error.hint(), "did you mean digitalSignature?");
  EXPECT_THAT(parse_key_usage("contentCommitment"), ElementsAre("nonRepudiation"));
  EXPECT_THAT(parse_key_usage(""), IsEmpty());
}

TEST(ExtendedKeyUsage, TakesWordsAndOids) {
  EXPECT_THAT(parse_extended_key_usage("serverauth, 1.3.6.1.5.5.7.3.2 ,1.3.6.1.4.1.311.21.6"),
              ElementsAre("serverAuth", "clientAuth", "kra"));
  EXPECT_EQ(error_of([] { parse_extended_key_usage("9.9.9"); }).kind(), Kind::usage);
  EXPECT_EQ(error_of([] { parse_extended_key_usage("123"); }).kind(), Kind::usage);
  EXPECT_THAT(error_of([] { parse_extended_key_usage("xyz"); }).hint(), HasSubstr("known are"));
}

TEST(ExtraExtension, MustBeOneDerElementAndNotOneOfOurs) {
  EXPECT_EQ(error_of([] { extra_extension("2.5.29.17", false, {5, 0}); }).kind(), Kind::usage);
  EXPECT_EQ(error_of([] { extra_extension("no", false, {5, 0}); }).kind(), Kind::usage);
  for (const Bytes& der :
       {Bytes{}, Bytes{5}, Bytes{5, 0, 0}, Bytes{4, 0x81, 1, 7}, Bytes{4, 9, 1}}) {
    EXPECT_EQ(error_of([&] { extra_extension("1.2.3.4", false, der); }).kind(), Kind::malformed);
  }
  EXPECT_EQ(extra_extension("1.2.3.4", true, {5, 0}).oid, "1.2.3.4");
}

TEST_F(Extensions, RefuseAnExtraOneThatIsGivenTwice) {
  Wishes wishes;
  wishes.extra = {{"1.2.3.4", false, {5, 0}}, {"1.2.3.4", false, {5, 0}}};
  EXPECT_THAT(error_of([&] { made(wishes); }).what(), HasSubstr("1.2.3.4: it is given twice"));
}

TEST_F(Extensions, RefuseWhatDoesNotParse) {
  for (const int nid :
       {NID_subject_alt_name, NID_key_usage, NID_ext_key_usage, NID_basic_constraints,
        NID_subject_key_identifier, NID_authority_key_identifier}) {
    for (const Bytes& der : {Bytes{}, Bytes{5, 0}, Bytes{0x30, 0x80, 0, 0}, Bytes{0x30, 1}}) {
      EXPECT_EQ(error_of([&] { read_raw(nid, der); }).kind(), Kind::malformed) << nid;
    }
  }
  EXPECT_THAT(error_of([] {
                read_raw(NID_basic_constraints, {0x30, 0}, 2);
              }).what(),
              HasSubstr("2.5.29.19: it occurs twice"));
}

TEST_F(Extensions, ShowNamesOfKindsThatAreNotAskedFor) {
  // registeredID 1.2.3, an address of three bytes, an unknown otherName, a directory name
  EXPECT_THAT(texts_of(read_raw(NID_subject_alt_name, {0x30, 4, 0x88, 2, 0x2a, 3}).names),
              ElementsAre("other:DER=88022a03"));
  EXPECT_THAT(texts_of(read_raw(NID_subject_alt_name, {0x30, 5, 0x87, 3, 1, 2, 3}).names),
              ElementsAre("other:DER=8703010203"));
  EXPECT_THAT(
      texts_of(
          read_raw(NID_subject_alt_name, {0x30, 10, 0xa0, 8, 6, 2, 0x2a, 3, 0xa0, 2, 5, 0}).names),
      ElementsAre("other:1.2.3=0500"));
  EXPECT_THAT(texts_of(read_raw(NID_subject_alt_name, {0x30, 16, 0xa4, 14, 0x30, 12, 0x31, 10, 0x30,
                                                       8, 6, 3, 0x55, 4, 3, 0xc, 1, 'x'})
                           .names),
              ElementsAre("directory:CN=x"));
}

}  // namespace
}  // namespace hsmith::x509
