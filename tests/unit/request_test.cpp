#include "src/x509/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/input.h"
#include "src/x509/lint.h"
#include "src/x509/name.h"
#include "tests/support/certificates_fixture.h"
#include "tests/support/error_of.h"

namespace hsmith::x509 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using tests::error_of;
using tests::MemoryKey;

RequestSpec usual_spec() {
  std::vector<std::string> notices;
  RequestSpec spec;
  spec.subject = parse_name("CN=www.example.com,O=Example Ltd,C=HK");
  spec.wishes.names = parse_alt_names("dns:www.example.com,ip:192.0.2.1", notices);
  spec.wishes.key_usage = parse_key_usage("digitalSignature");
  spec.wishes.extended_key_usage = parse_extended_key_usage("serverAuth");
  return spec;
}

Bytes usual_request(const char* type = "ec:p256", const char* scheme = "",
                    const char* digest = "") {
  auto key = MemoryKey::generate(type);
  return make_request(usual_spec(), key, ossl::choose_scheme(key->public_key(), scheme, digest))
      .der;
}

std::vector<std::string> codes_of(const std::vector<Finding>& findings) {
  std::vector<std::string> codes;
  for (const Finding& finding : findings) codes.push_back(finding.code);
  return codes;
}

std::vector<std::string> lint_codes(const RequestSpec& spec, const Profile* profile = nullptr) {
  return codes_of(lint_spec(spec, profile));
}

struct Case {
  const char* type;
  const char* scheme;
  const char* digest;
  const char* algorithm;
};
class Requests : public ::testing::TestWithParam<Case> {};

TEST_P(Requests, VerifyAndHoldWhatWasAskedFor) {
  const Bytes der = usual_request(GetParam().type, GetParam().scheme, GetParam().digest);
  const ossl::Request request = parse_request(der, "r.der");
  const RequestFacts facts = request_facts(request.get());
  EXPECT_EQ(facts.subject, "CN=www.example.com,O=Example Ltd,C=HK");
  EXPECT_THAT(texts_of(facts.extensions.names), ElementsAre("dns:www.example.com", "ip:192.0.2.1"));
  EXPECT_EQ(facts.key_type, GetParam().type);
  EXPECT_EQ(facts.signature_algorithm, GetParam().algorithm);
  EXPECT_TRUE(request_signature_ok(request.get()));
  EXPECT_EQ(facts.key_sha256.size(), 64u);
  EXPECT_THAT(facts.attributes, ElementsAre("extensionRequest"));
  EXPECT_THAT(lint_request(request.get(), nullptr), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(AllKeys, Requests,
                         ::testing::Values(Case{"rsa:2048", "", "", "sha256WithRSAEncryption"},
                                           Case{"rsa:2048", "pss", "sha384", "rsassaPss"},
                                           Case{"ec:p256", "", "", "ecdsa-with-SHA256"},
                                           Case{"ec:p384", "", "", "ecdsa-with-SHA384"},
                                           Case{"ed25519", "", "", "ED25519"}));

TEST(Request, MayHaveNeitherSubjectNorNames) {
  auto key = MemoryKey::generate("ec:p256");
  const Bytes der = make_request({}, key, ossl::choose_scheme(key->public_key(), "", "")).der;
  const RequestFacts facts = request_facts(parse_request(der, "r").get());
  EXPECT_EQ(facts.subject, "");
  EXPECT_THAT(facts.extensions.names, IsEmpty());
}

TEST(Request, CarriesAChallengePassword) {
  auto key = MemoryKey::generate("ec:p256");
  const ossl::Scheme scheme = ossl::choose_scheme(key->public_key(), "", "");
  RequestSpec spec = usual_spec();
  spec.challenge_password = Secret(std::string_view("s3cret"));
  const Bytes der = make_request(spec, key, scheme).der;
  EXPECT_THAT(request_facts(parse_request(der, "r").get()).attributes,
              UnorderedElementsAre("extensionRequest", "challengePassword"));
  for (const std::string& bad : {std::string(), std::string(256, 'a'), std::string("\xff")}) {
    spec.challenge_password = Secret(std::string_view(bad));
    EXPECT_EQ(error_of([&] { make_request(spec, key, scheme); }).kind(), Kind::usage);
  }
}

TEST(Request, PassesOnWhatTheKeyThrows) {
  auto key = MemoryKey::generate("ec:p256");
  key->fail_next_sign(Error(Kind::token_removed, "sign: the token is gone"));
  const Error error = error_of(
      [&] { make_request(usual_spec(), key, ossl::choose_scheme(key->public_key(), "", "")); });
  EXPECT_EQ(error.kind(), Kind::token_removed);
  EXPECT_STREQ(error.what(), "sign: the token is gone");
}

// A token that answers with the signature of another key.
class LyingKey : public MemoryKey {
 public:
  LyingKey() : MemoryKey(tests::generate_software_key("ec:p256")) {}
  Bytes sign(const ossl::Scheme& scheme, ByteView digest) override {
    return other_->sign(scheme, digest);
  }

 private:
  std::shared_ptr<MemoryKey> other_ = MemoryKey::generate("ec:p256");
};

TEST(Request, IsNotGivenOutWithAnotherKeysSignature) {
  auto key = std::make_shared<LyingKey>();
  const Error error = error_of(
      [&] { make_request(usual_spec(), key, ossl::choose_scheme(key->public_key(), "", "")); });
  EXPECT_EQ(error.kind(), Kind::mismatch);
  EXPECT_THAT(error.what(), HasSubstr("its signature does not verify"));
}

TEST(Request, IsReadFromEveryForm) {
  const Bytes der = usual_request();
  const std::string pem = request_pem(der, PemHeader::certificate_request);
  const std::string new_pem = request_pem(der, PemHeader::new_certificate_request);
  EXPECT_THAT(new_pem, HasSubstr("-----BEGIN NEW CERTIFICATE REQUEST-----\n"));
  std::string windows;
  for (const char c : pem) windows += c == '\n' ? "\r\n" : std::string(1, c);
  const std::string key = "-----BEGIN PRIVATE KEY-----\nnot read\n-----END PRIVATE KEY-----\n";
  for (const std::string& text :
       {pem, new_pem, windows, "\xef\xbb\xbf" + pem, "Subject: x\n\n" + pem + "text after",
        key + pem, std::string(der.begin(), der.end())}) {
    const ossl::Request request = parse_request(as_bytes(text), "r.csr");
    EXPECT_TRUE(equal(ossl::der_of(i2d_X509_REQ, request.get()), der));
  }
}

TEST(Request, SaysWhatElseAFileHolds) {
  const tests::Identity root = tests::root();
  const Bytes der = usual_request();
  const std::string pem = request_pem(der, PemHeader::certificate_request);
  const std::string certificate = certificate_pem(root.certificate.get());
  const Bytes certificate_bytes = certificate_der(root.certificate.get());
  const Bytes public_key = ossl::spki_of(root.key->public_key());
  Bytes trailing = der;
  trailing.push_back(0);
  const struct {
    std::string text;
    const char* message;
  } cases[] = {
      {"", "read f: it is empty"},
      {certificate, "this is a certificate, expected a certificate request"},
      {std::string(certificate_bytes.begin(), certificate_bytes.end()),
       "this is a certificate, expected a certificate request"},
      {std::string(public_key.begin(), public_key.end()), "this is a public key"},
      {"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
       "this is a private key, expected a certificate request"},
      {pem + pem, "it holds 2 certificate requests"},
      {std::string(trailing.begin(), trailing.end()), "1 bytes follow the certificate request"},
      {"hello", "this is text without a PEM block, expected a certificate request"},
      {"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", "line 1: the CERTIFICATE REQUEST"},
      {"-----BEGIN CERTIFICATE REQUEST-----\nA*==\n-----END CERTIFICATE REQUEST-----\n",
       "is not Base64"},
      {"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE-----\n",
       "line 3: CERTIFICATE REQUEST ends as \"CERTIFICATE\""},
      {"\xff\xfe-", "this is UTF-16 text, expected a certificate request"},
  };
  for (const auto& [text, message] : cases) {
    const Error error = error_of([&, input = text] { parse_request(as_bytes(input), "f"); });
    EXPECT_EQ(error.kind(), Kind::malformed);
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

TEST(Request, IsRefusedWhenItIsCutAnywhere) {
  const Bytes der = usual_request();
  for (std::size_t size = 0; size < der.size(); ++size) {
    const ByteView prefix(der.data(), size);
    EXPECT_EQ(error_of([&] { parse_request(prefix, "r"); }).kind(), Kind::malformed) << size;
  }
}

// Each flipped bit is refused, seen as a broken signature, or changes what the request says.
void expect_no_twin(const Bytes& der) {
  for (std::size_t bit = 0; bit < der.size() * 8; ++bit) {
    Bytes changed = der;
    changed[bit / 8] = static_cast<unsigned char>(changed[bit / 8] ^ 1u << bit % 8);
    try {
      const ossl::Request request = parse_request(changed, "r");
      EXPECT_FALSE(request_signature_ok(request.get())) << "bit " << bit;
      request_facts(request.get());
      if (bit % 32 == 0) lint_request(request.get(), nullptr);
    } catch (const Error& error) {
      const bool expected = error.kind() == Kind::malformed || error.kind() == Kind::unsupported;
      EXPECT_TRUE(expected) << "bit " << bit << ": " << error.what();
    }
  }
}

TEST(Request, NeverVerifiesWithOneBitFlipped) {
  expect_no_twin(usual_request("ec:p256"));
  expect_no_twin(usual_request("ed25519"));
}

TEST(Request, NeverVerifiesWithOneBitFlippedUnderRsa) { expect_no_twin(usual_request("rsa:2048")); }

TEST(RequestFacts, RefuseAnExtensionRequestThatOccursTwice) {
  auto key = MemoryKey::generate("ec:p256");
  const ossl::Request request(X509_REQ_new());
  X509_REQ_set_pubkey(request.get(), key->public_key());
  const Wishes wishes;
  const ossl::Extensions list =
      make_extensions(wishes, X509_REQ_get_subject_name(request.get()), key->public_key());
  X509_REQ_add_extensions_nid(request.get(), list.get(), NID_ext_req);
  X509_REQ_add_extensions_nid(request.get(), list.get(), NID_ms_ext_req);
  X509_REQ_sign(request.get(), key->private_key(), EVP_sha256());
  const ossl::Request again = parse_request(ossl::der_of(i2d_X509_REQ, request.get()), "r");
  const Error error = error_of([&] { request_facts(again.get()); });
  EXPECT_EQ(error.kind(), Kind::malformed);
  EXPECT_THAT(error.what(), HasSubstr("it occurs twice"));
}

TEST(LintSpec, FindsWhatAuthoritiesRefuse) {
  std::vector<std::string> notices;
  EXPECT_THAT(lint_codes(usual_spec()), IsEmpty());
  EXPECT_THAT(lint_codes({}), ElementsAre("no_name"));
  RequestSpec spec;
  spec.subject = parse_name("C=GB,O=Example Ltd,CN=x");
  EXPECT_THAT(lint_codes(spec), ElementsAre("subject_order"));
  spec.subject = parse_name("CN=a,CN=b,O=-,ST=Some-State,C=UK");
  EXPECT_THAT(lint_codes(spec), ElementsAre("country_unknown", "value_placeholder",
                                            "value_meaningless", "several_common_names"));
  spec.subject = parse_name("CN=x");
  spec.wishes.names = parse_alt_names(
      "dns:intranet,dns:a.local,ip:10.0.0.1,ip:172.20.1.1,ip:fe80::1,ip:203.0.113.1", notices);
  EXPECT_THAT(lint_codes(spec), ElementsAre("name_internal", "name_internal", "name_internal",
                                            "name_internal", "name_internal"));
  spec.wishes.names = {{AltNameKind::dns, "*.com"},
                       {AltNameKind::dns, "a_b.example.com"},
                       {AltNameKind::dns, "WWW.example.com"},
                       {AltNameKind::dns, "www.example.com"}};
  EXPECT_THAT(lint_codes(spec), ElementsAre("wildcard_too_wide", "name_malformed", "name_twice"));
}

TEST(LintSpec, HoldsTheSpecAgainstItsProfile) {
  std::vector<std::string> notices;
  Profile profile;
  profile.name = "test";
  profile.required_parts = {"O"};
  profile.forbidden_parts = {"OU"};
  profile.one_of_names = {"dns"};
  profile.allowed_names = {"dns"};
  profile.names_from_subject = {"CN"};
  profile.wildcard = Presence::forbidden;
  profile.most_names = 1;
  profile.extended_key_usage = {"serverAuth"};
  RequestSpec spec;
  spec.subject = parse_name("CN=www.example.com,OU=x");
  EXPECT_THAT(lint_codes(spec, &profile),
              ElementsAre("field_missing", "field_forbidden", "name_missing",
                          "subject_name_not_listed", "purpose_missing"));
  spec.subject = parse_name("CN=*.example.com,O=x");
  spec.wishes.extended_key_usage = {"serverAuth"};
  spec.wishes.names = parse_alt_names("dns:*.example.com,ip:192.0.2.1", notices);
  EXPECT_THAT(lint_codes(spec, &profile),
              ElementsAre("wildcard_forbidden", "too_many_names", "name_not_allowed"));
  profile.wildcard = Presence::required;
  profile.most_names = 0;
  spec.subject = parse_name("CN=www.example.com,O=x");
  spec.wishes.names = parse_alt_names("dns:www.example.com", notices);
  EXPECT_THAT(lint_codes(spec, &profile), ElementsAre("wildcard_missing"));
}

TEST(LintRequest, FindsABrokenSignatureAndAnOldDigest) {
  Bytes der = usual_request();
  der.back() = static_cast<unsigned char>(der.back() ^ 1u);
  EXPECT_THAT(codes_of(lint_request(parse_request(der, "r").get(), nullptr)),
              ElementsAre("signature_invalid"));

  auto key = MemoryKey::generate("rsa:2048");
  const ossl::Request request(X509_REQ_new());
  const ossl::Name subject = parse_name("CN=x");
  X509_REQ_set_subject_name(request.get(), subject.get());
  X509_REQ_set_pubkey(request.get(), key->public_key());
  X509_REQ_sign(request.get(), key->private_key(), EVP_sha1());
  EXPECT_THAT(codes_of(lint_request(request.get(), nullptr)), ElementsAre("signature_digest_weak"));
}

TEST(LintRequest, HoldsTheKeyAndItsUsagesAgainstTheProfile) {
  Profile profile;
  profile.name = "test";
  profile.key_types = {"rsa"};
  const ossl::Request request = parse_request(usual_request(), "r");
  profile.ec_key_usage = {"digitalSignature"};
  EXPECT_THAT(codes_of(lint_request(request.get(), &profile)), ElementsAre("key_type_not_allowed"));
  profile.key_types = {"ec"};
  profile.ec_bits = 384;
  EXPECT_THAT(codes_of(lint_request(request.get(), &profile)), ElementsAre("key_too_small"));
  profile.ec_bits = 256;
  profile.ec_key_usage = {"keyAgreement"};
  EXPECT_THAT(codes_of(lint_request(request.get(), &profile)),
              ElementsAre("key_usage_extra", "key_usage_missing"));
}

TEST(LintKeyType, NamesTheProfileAndTheSize) {
  Profile profile;
  profile.name = "kra";
  profile.key_types = {"rsa"};
  profile.rsa_bits = 3072;
  EXPECT_THAT(lint_key_type(ossl::key_type_named("rsa:3072"), profile), IsEmpty());
  const auto small = lint_key_type(ossl::key_type_named("rsa:2048"), profile);
  ASSERT_EQ(small.size(), 1u);
  EXPECT_EQ(small[0].text, "the profile kra needs a key of 3072 bits, rsa:2048 has 2048");
  EXPECT_THAT(codes_of(lint_key_type(ossl::key_type_named("ed25519"), profile)),
              ElementsAre("key_type_not_allowed"));
}

}  // namespace
}  // namespace hsmith::x509
