#include "src/x509/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/ossl/check.h"
#include "src/x509/input.h"
#include "src/x509/name.h"
#include "src/x509/request.h"
#include "tests/support/certificates_fixture.h"
#include "tests/support/error_of.h"

namespace hsmith::x509 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using tests::CertificateSpec;
using tests::error_of;
using tests::Identity;
using tests::kDay;
using tests::kNow;

class Certificates : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = new Identity(tests::root());
    issuing_ = new Identity(tests::authority("CN=Issuing CA,O=Example Ltd,C=HK", *root_));
    CertificateSpec spec;
    spec.names = {"dns:www.example.com", "ip:192.0.2.1"};
    spec.key_usage = "digitalSignature";
    spec.extended_key_usage = "serverAuth";
    leaf_ = new Identity(tests::issue(spec, issuing_));
  }
  static void TearDownTestSuite() {
    delete root_;
    delete issuing_;
    delete leaf_;
  }

  static std::vector<ossl::Certificate> all() {
    std::vector<ossl::Certificate> list;
    for (const Identity* one : {leaf_, issuing_, root_}) {
      list.push_back(ossl::share(one->certificate.get()));
    }
    return list;
  }
  static std::vector<std::string> subjects(const std::vector<ossl::Certificate>& list) {
    std::vector<std::string> found;
    for (const auto& one : list) {
      found.push_back(last_value(X509_get_subject_name(one.get()), "CN"));
    }
    return found;
  }
  static std::vector<std::string> read(std::string_view text) {
    return subjects(read_certificates(as_bytes(text), "f"));
  }
  static std::string refusal(std::string_view text) {
    const Error error = error_of([&] { read_certificates(as_bytes(text), "f"); });
    EXPECT_EQ(error.kind(), Kind::malformed);
    return error.what();
  }

  static inline Identity* root_;
  static inline Identity* issuing_;
  static inline Identity* leaf_;
};

std::string text_of_bytes(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

TEST_F(Certificates, AreDescribed) {
  const CertificateFacts facts = certificate_facts(leaf_->certificate.get());
  EXPECT_EQ(facts.subject, "CN=www.example.com,O=Example Ltd,C=HK");
  EXPECT_EQ(facts.issuer, "CN=Issuing CA,O=Example Ltd,C=HK");
  EXPECT_EQ(facts.version, 3);
  EXPECT_EQ(facts.not_before, kNow - 10 * kDay);
  EXPECT_EQ(facts.not_after, kNow + 10 * kDay);
  EXPECT_THAT(texts_of(facts.extensions.names), ElementsAre("dns:www.example.com", "ip:192.0.2.1"));
  EXPECT_EQ(facts.key_type, "ec:p256");
  EXPECT_EQ(facts.key_bits, 256);
  EXPECT_EQ(facts.signature_algorithm, "ecdsa-with-SHA256");
  EXPECT_EQ(facts.sha256.size(), 64u);
  EXPECT_FALSE(facts.is_ca);
  EXPECT_FALSE(facts.self_issued);
  EXPECT_TRUE(certificate_facts(root_->certificate.get()).is_ca);
  EXPECT_TRUE(certificate_facts(root_->certificate.get()).self_issued);
  EXPECT_TRUE(
      ossl::same_public_key(public_key_of(leaf_->certificate.get()), leaf_->key->public_key()));
}

TEST_F(Certificates, AreReadFromEveryForm) {
  const std::string pem = certificates_pem(all());
  std::string windows;
  for (const char c : pem) windows += c == '\n' ? "\r\n" : std::string(1, c);
  std::string old_mac = pem;
  for (char& c : old_mac) c = c == '\n' ? '\r' : c;
  const Bytes p7b = certificates_p7b(all());
  const auto three = ElementsAre("www.example.com", "Issuing CA", "Test Root");
  EXPECT_THAT(read(pem), three);
  EXPECT_THAT(read(windows), three);
  EXPECT_THAT(read(old_mac), three);
  EXPECT_THAT(read("\xef\xbb\xbf" + pem), three);
  EXPECT_THAT(read("Bag Attributes\n  friendlyName: x\n" + pem + "the end"), three);
  EXPECT_THAT(read(text_of_bytes(p7b)), three);
  EXPECT_THAT(read(x509::pem("PKCS7", p7b)), three);
  EXPECT_THAT(read(x509::pem("CMS", p7b)), three);
  EXPECT_THAT(read(x509::pem("CERTIFICATE", p7b)), three);
  EXPECT_THAT(read(x509::pem("PKCS7", p7b) + certificate_pem(root_->certificate.get())),
              ElementsAre("www.example.com", "Issuing CA", "Test Root", "Test Root"));
  EXPECT_THAT(read(text_of_bytes(certificate_der(leaf_->certificate.get()))),
              ElementsAre("www.example.com"));
  EXPECT_THAT(read(x509::pem("X509 CERTIFICATE", certificate_der(leaf_->certificate.get()))),
              ElementsAre("www.example.com"));
}

TEST_F(Certificates, KeepTheirTrustSettings) {
  const ossl::Certificate trusted =
      certificate_from_der(certificate_der(root_->certificate.get()), "root");
  ossl::Asn1Object purpose(OBJ_txt2obj("serverAuth", 0));
  X509_add1_reject_object(trusted.get(), purpose.get());
  const std::string pem =
      x509::pem("TRUSTED CERTIFICATE", ossl::der_of(i2d_X509_AUX, trusted.get()));
  const auto read_back = read_certificates(as_bytes(pem), "f");
  ASSERT_EQ(read_back.size(), 1u);
  EXPECT_EQ(sk_ASN1_OBJECT_num(X509_get0_reject_objects(read_back[0].get())), 1);
}

TEST_F(Certificates, SayWhatElseAFileHolds) {
  auto& key = leaf_->key;
  const Bytes request = make_request({}, key, ossl::choose_scheme(key->public_key(), "", "")).der;
  const std::string pem = certificate_pem(leaf_->certificate.get());
  const Bytes der = certificate_der(leaf_->certificate.get());
  Bytes trailing = der;
  trailing.push_back(0);
  Bytes p7b = certificates_p7b(all());
  const Bytes empty_p7b = certificates_p7b({});
  const Bytes pkcs8 = ossl::der_of(i2d_PrivateKey, key->private_key());
  EXPECT_THAT(refusal(""), HasSubstr("it is empty"));
  EXPECT_THAT(refusal(request_pem(request, PemHeader::certificate_request)),
              HasSubstr("this is a certificate request, expected a certificate"));
  EXPECT_THAT(refusal(text_of_bytes(request)),
              HasSubstr("this is a certificate request, expected a certificate"));
  EXPECT_THAT(refusal("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"),
              HasSubstr("this is a private key"));
  EXPECT_THAT(refusal(text_of_bytes(pkcs8)), HasSubstr("this is a private key"));
  EXPECT_THAT(refusal(std::string("\x30\x80\x02\x01\x03\x30\x80", 7)),
              HasSubstr("this is a PKCS#12 file"));
  EXPECT_THAT(refusal(text_of_bytes(trailing)), HasSubstr("1 bytes follow the certificate"));
  EXPECT_THAT(refusal(text_of_bytes(empty_p7b)), HasSubstr("holds no certificate"));
  p7b.push_back(0);
  EXPECT_THAT(refusal(text_of_bytes(p7b)), HasSubstr("1 bytes follow the PKCS#7 file"));
  EXPECT_THAT(refusal("hello"),
              HasSubstr("this is text without a PEM block, expected a certificate"));
  EXPECT_THAT(refusal("a\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
              HasSubstr("this is damaged, or not a certificate"));
  EXPECT_THAT(refusal("\xff\xfe-"), HasSubstr("this is UTF-16 text, expected a certificate"));
  EXPECT_THAT(error_of([&] { read_certificate(as_bytes(pem + pem), "f"); }).what(),
              HasSubstr("it holds 2 certificates, expected one"));
}

TEST_F(Certificates, AreRefusedWhenCutAnywhere) {
  const Bytes der = certificate_der(leaf_->certificate.get());
  for (std::size_t size = 0; size < der.size(); ++size) {
    const ByteView prefix(der.data(), size);
    EXPECT_EQ(error_of([&] { read_certificates(prefix, "c"); }).kind(), Kind::malformed) << size;
  }
  const Bytes p7b = certificates_p7b(all());
  for (std::size_t size = 0; size < p7b.size(); ++size) {
    const ByteView prefix(p7b.data(), size);
    EXPECT_EQ(error_of([&] { read_certificates(prefix, "c"); }).kind(), Kind::malformed) << size;
  }
}

TEST_F(Certificates, NeverVerifyWithOneBitFlipped) {
  const Bytes der = certificate_der(leaf_->certificate.get());
  EVP_PKEY* issuer = issuing_->key->public_key();
  ASSERT_EQ(X509_verify(certificate_from_der(der, "c").get(), issuer), 1);
  for (std::size_t bit = 0; bit < der.size() * 8; ++bit) {
    Bytes changed = der;
    changed[bit / 8] = static_cast<unsigned char>(changed[bit / 8] ^ 1u << bit % 8);
    try {
      const ossl::Certificate certificate = certificate_from_der(changed, "c");
      EXPECT_NE(X509_verify(certificate.get(), issuer), 1) << "bit " << bit;
      ossl::clear_errors();
      certificate_facts(certificate.get());
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::malformed) << "bit " << bit << ": " << error.what();
    }
  }
}

TEST_F(Certificates, AreShownOnOneLineHoweverHostile) {
  const ossl::Certificate hostile(X509_dup(leaf_->certificate.get()));
  const std::string value("a\nhsmith: all is well\x1b[2J\0", 26);
  X509_NAME_add_entry_by_NID(X509_get_subject_name(hostile.get()), NID_commonName,
                             V_ASN1_UTF8STRING, as_bytes(value).data(), 26, 0, 0);
  EXPECT_EQ(certificate_facts(hostile.get()).subject,
            "CN=www.example.com,O=Example Ltd,C=HK,CN=a\\0Ahsmith: all is well\\1B[2J\\00");
}

TEST_F(Certificates, AreComparedWithTheirRequest) {
  std::vector<std::string> notices;
  RequestSpec spec;
  spec.subject = parse_name("CN=www.example.com,O=Example Ltd,C=HK");
  spec.wishes.names = parse_alt_names("dns:www.example.com,ip:192.0.2.1", notices);
  spec.wishes.key_usage = {"digitalSignature"};
  const auto make = [&] {
    const ossl::Scheme scheme = ossl::choose_scheme(leaf_->key->public_key(), "", "");
    return make_request(spec, leaf_->key, scheme).read;
  };
  EXPECT_THAT(differences_from_request(leaf_->certificate.get(), make().get()), IsEmpty());
  spec.subject = parse_name("CN=www.example.com,O=Other,C=HK");
  spec.wishes.names = parse_alt_names("dns:www.example.com,dns:shop.example.com", notices);
  spec.wishes.key_usage = {"digitalSignature", "keyAgreement"};
  EXPECT_THAT(differences_from_request(leaf_->certificate.get(), make().get()),
              ElementsAre("the subject is \"CN=www.example.com,O=Example Ltd,C=HK\", asked for was "
                          "\"CN=www.example.com,O=Other,C=HK\"",
                          "the name dns:shop.example.com was asked for and is not there",
                          "the key usage keyAgreement was asked for and is not there"));
  EXPECT_THAT(differences_from_request(root_->certificate.get(), make().get())[0],
              "the key is another one");
}

}  // namespace
}  // namespace hsmith::x509
