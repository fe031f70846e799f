#include "src/x509/crl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/input.h"
#include "src/x509/name.h"
#include "tests/support/certificates_fixture.h"
#include "tests/support/error_of.h"

namespace hsmith::x509 {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using tests::error_of;
using tests::Identity;
using tests::kDay;
using tests::kNow;

constexpr const char* kNumber = "2.5.29.20";
constexpr const char* kDeltaBase = "2.5.29.27";
constexpr const char* kScope = "2.5.29.28";

struct Extension {
  std::string oid;
  bool critical;
  Bytes der;
};

struct CrlSpec {
  std::time_t this_update = kNow - kDay;
  std::optional<std::time_t> next_update = kNow + kDay;
  std::vector<X509*> revoked = {};
  int reason = 1;
  std::vector<Extension> extensions = {};
  const EVP_MD* digest = EVP_sha256();
};

ossl::Extension extension_of(const Extension& spec) {
  const ossl::Asn1Object oid(OBJ_txt2obj(spec.oid.c_str(), 1));
  const ossl::OctetString value(ASN1_OCTET_STRING_new());
  ASN1_OCTET_STRING_set(value.get(), spec.der.data(), static_cast<int>(spec.der.size()));
  return ossl::Extension(
      X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), spec.critical ? 1 : 0, value.get()));
}

void add_entry(X509_CRL* crl, const CrlSpec& spec, X509* certificate) {
  X509_REVOKED* entry = X509_REVOKED_new();
  X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate));
  const std::unique_ptr<ASN1_TIME, ossl::Deleter<ASN1_TIME_free>> when(
      ASN1_TIME_set(nullptr, kNow - 2 * kDay));
  X509_REVOKED_set_revocationDate(entry, when.get());
  const std::unique_ptr<ASN1_ENUMERATED, ossl::Deleter<ASN1_ENUMERATED_free>> reason(
      ASN1_ENUMERATED_new());
  ASN1_ENUMERATED_set(reason.get(), spec.reason);
  X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason.get(), 0, 0);
  ossl::check(X509_CRL_add0_revoked(crl, entry) == 1, "add an entry");
}

ossl::Crl make_crl(const CrlSpec& spec, const Identity& issuer) {
  const ossl::Crl made(X509_CRL_new());
  X509_CRL_set_version(made.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(made.get(), X509_get_subject_name(issuer.certificate.get()));
  const std::unique_ptr<ASN1_TIME, ossl::Deleter<ASN1_TIME_free>> this_update(
      ASN1_TIME_set(nullptr, spec.this_update));
  X509_CRL_set1_lastUpdate(made.get(), this_update.get());
  if (spec.next_update) {
    const std::unique_ptr<ASN1_TIME, ossl::Deleter<ASN1_TIME_free>> next_update(
        ASN1_TIME_set(nullptr, *spec.next_update));
    X509_CRL_set1_nextUpdate(made.get(), next_update.get());
  }
  for (X509* certificate : spec.revoked) add_entry(made.get(), spec, certificate);
  for (const Extension& one : spec.extensions) {
    X509_CRL_add_ext(made.get(), extension_of(one).get(), -1);
  }
  ossl::check(X509_CRL_sign(made.get(), issuer.key->private_key(), spec.digest) > 0, "sign a list");
  return crl_from_der(crl_der(made.get()), "made");
}

std::vector<ossl::Crl> lists(std::initializer_list<X509_CRL*> crls) {
  std::vector<ossl::Crl> all;
  for (X509_CRL* one : crls) all.push_back(ossl::share(one));
  return all;
}

std::vector<ossl::Certificate> certificates(std::initializer_list<const Identity*> identities) {
  std::vector<ossl::Certificate> all;
  for (const Identity* one : identities) all.push_back(ossl::share(one->certificate.get()));
  return all;
}

class Crls : public ::testing::Test {
 protected:
  Crls()
      : root(tests::root()),
        leaf(tests::issue({.subject = "CN=www.example.com",
                           .names = {"dns:www.example.com"},
                           .key_usage = "digitalSignature",
                           .extended_key_usage = "serverAuth",
                           .extra = ""},
                          &root)) {}

  static PathOptions options(Revocation revocation = Revocation::required) {
    PathOptions options;
    options.time = kNow;
    options.revocation = revocation;
    return options;
  }

  Verdict verify(std::initializer_list<X509_CRL*> crls, const PathOptions& how) const {
    return verify_path(leaf.certificate.get(), {}, certificates({&root}), how, lists(crls));
  }

  static std::vector<std::string> reasons(const Verdict& verdict) {
    std::vector<std::string> lines;
    for (const PathProblem& problem : verdict.problems) lines.push_back(problem.reason);
    return lines;
  }

  Identity root;
  Identity leaf;
};

TEST_F(Crls, AreDescribed) {
  const ossl::Crl crl = make_crl({.revoked = {leaf.certificate.get()},
                                  .extensions = {{kNumber, false, {0x02, 0x02, 0x01, 0x00}},
                                                 {kScope, true, {0x30, 0x03, 0x82, 0x01, 0xff}}}},
                                 root);
  const CrlFacts facts = crl_facts(crl.get());
  EXPECT_EQ(facts.issuer, "CN=Test Root,O=Example Ltd,C=HK");
  EXPECT_EQ(facts.number, "0100");
  EXPECT_EQ(facts.base_number, "");
  EXPECT_EQ(facts.this_update, kNow - kDay);
  EXPECT_EQ(facts.next_update, kNow + kDay);
  EXPECT_EQ(facts.entries, 1u);
  EXPECT_EQ(facts.scope, "authorities");
  EXPECT_FALSE(facts.indirect);
  EXPECT_EQ(revocation_in(crl.get(), leaf.certificate.get()),
            "2029-12-30T00:00:00Z (keyCompromise)");
}

TEST_F(Crls, DecideOnACertificate) {
  const ossl::Crl empty = make_crl({}, root);
  const ossl::Crl full = make_crl({.revoked = {leaf.certificate.get()}}, root);
  const Verdict good = verify({empty.get()}, options());
  EXPECT_TRUE(good.ok && good.revocation_checked && !good.revoked);
  const Verdict revoked = verify({full.get()}, options());
  EXPECT_TRUE(revoked.revoked && revoked.revocation_checked);
  EXPECT_THAT(reasons(revoked),
              ElementsAre("it was revoked on 2029-12-30T00:00:00Z (keyCompromise)"));
  EXPECT_FALSE(verify({full.get()}, options(Revocation::if_known)).ok);
  EXPECT_TRUE(verify({full.get()}, options(Revocation::off)).ok);
}

TEST_F(Crls, ThatAreMissingAreNamedAndOnlyFatalWhenRequired) {
  const Verdict known = verify({}, options(Revocation::if_known));
  EXPECT_TRUE(known.ok);
  EXPECT_FALSE(known.revocation_checked);
  ASSERT_EQ(known.unchecked.size(), 1u);
  EXPECT_THAT(known.unchecked[0].reason, HasSubstr("no revocation list decides on it"));
  EXPECT_FALSE(verify({}, options()).ok);
}

TEST_F(Crls, WithADefectAreSetAside) {
  const Bytes null{0x05, 0x00};
  const Bytes one{0x02, 0x01, 0x01};
  const std::vector<std::pair<CrlSpec, std::string>> cases{
      {{.next_update = std::nullopt}, "does not say when the next one comes"},
      {{.extensions = {{"1.2.3.4", true, null}}}, "the critical extension 1.2.3.4"},
      {{.extensions = {{kNumber, false, one}, {kNumber, false, one}}}, "2.5.29.20 twice"},
      {{.extensions = {{kNumber, false, null}}}, "crlNumber is damaged"},
      {{.extensions = {{kDeltaBase, true, one}}}, "a delta list without number"},
      {{.digest = EVP_sha1()}, "too weak"},
      {{.revoked = {root.certificate.get()}, .reason = 8}, "no delta list and yet removes"}};
  for (const auto& [spec, reason] : cases) {
    const ossl::Crl crl = make_crl(spec, root);
    EXPECT_THAT(crl_defect(crl.get(), 1), HasSubstr(reason));
    EXPECT_THAT(reasons(verify({crl.get()}, options())), Contains(HasSubstr(reason)));
  }
}

TEST_F(Crls, AreBelievedOnlyFromTheirIssuer) {
  const Identity stranger = tests::root();  // the same name, another key
  const ossl::Crl forged = make_crl({.revoked = {leaf.certificate.get()}}, stranger);
  EXPECT_FALSE(signed_crl(forged.get(), root.certificate.get()));
  EXPECT_THAT(crl_problems(forged.get(), certificates({&stranger}), certificates({&root}),
                           options(Revocation::off)),
              ElementsAre(HasSubstr("its issuer: CN=Test Root")));
  EXPECT_THAT(
      crl_problems(make_crl({}, root).get(), {}, certificates({&root}), options(Revocation::off)),
      IsEmpty());
  const ossl::Crl stale = make_crl({.next_update = kNow - 1}, root);
  EXPECT_THAT(crl_problems(stale.get(), {}, certificates({&root}), options(Revocation::off)),
              ElementsAre(HasSubstr("it is stale")));
}

TEST_F(Crls, MayBeSignedByAnotherThanTheIssuerWhateverTheLeafIsFor) {
  const Identity signer = tests::issue({.subject = "CN=CRL signer",
                                        .names = {},
                                        .key_usage = "cRLSign",
                                        .extended_key_usage = "",
                                        .extra = ""},
                                       &root);
  // DistributionPoint with cRLIssuer alone: SEQUENCE { SEQUENCE { [2] { [4] { Name } } } }.
  Bytes der = ossl::der_of(i2d_X509_NAME, X509_get_subject_name(signer.certificate.get()));
  for (const int tag : {0xa4, 0xa2, 0x30, 0x30}) {
    der.insert(der.begin(),
               {static_cast<unsigned char>(tag), static_cast<unsigned char>(der.size())});
  }
  const Identity pointing = tests::issue({.subject = "CN=www.example.com",
                                          .names = {"dns:www.example.com"},
                                          .key_usage = "digitalSignature",
                                          .extended_key_usage = "serverAuth",
                                          .extra = "crlDistributionPoints=DER:" + hex(der)},
                                         &root);
  const CrlSpec indirect{.extensions = {{kScope, true, {0x30, 0x03, 0x84, 0x01, 0xff}}}};
  const ossl::Crl by_signer = make_crl(indirect, signer);
  const ossl::Crl by_root = make_crl({}, root);
  PathOptions how = options();
  how.purpose = Purpose::server;
  how.host = "www.example.com";
  const auto answer = [&](std::initializer_list<X509_CRL*> crls) {
    return verify_path(pointing.certificate.get(), certificates({&signer}), certificates({&root}),
                       how, lists(crls));
  };
  EXPECT_THAT(reasons(answer({by_signer.get(), by_root.get()})), IsEmpty());
  // The signer's own certificate must not be of unknown state.
  EXPECT_FALSE(answer({by_signer.get()}).ok);
}

TEST_F(Crls, OfChangesCountEvenWhereNothingPointsToThem) {
  const Bytes five{0x02, 0x01, 0x05};
  const Bytes six{0x02, 0x01, 0x06};
  const ossl::Crl base = make_crl({.extensions = {{kNumber, false, five}}}, root);
  const auto delta = [&](std::time_t next_update, int reason) {
    return make_crl({.this_update = kNow - kDay / 2,
                     .next_update = next_update,
                     .revoked = {leaf.certificate.get()},
                     .reason = reason,
                     .extensions = {{kNumber, false, six}, {kDeltaBase, true, five}}},
                    root);
  };
  EXPECT_TRUE(verify({base.get()}, options()).ok);
  EXPECT_TRUE(verify({base.get(), delta(kNow + kDay, 1).get()}, options()).revoked);
  EXPECT_TRUE(verify({base.get(), delta(kNow + kDay, 8).get()}, options()).ok);
  EXPECT_FALSE(verify({base.get(), delta(kNow - 1, 8).get()}, options()).ok);
  // A complete list that is newer knows better.
  const ossl::Crl newer = make_crl({.this_update = kNow - 60}, root);
  EXPECT_TRUE(verify({newer.get(), delta(kNow + kDay, 1).get()}, options()).ok);
}

TEST_F(Crls, AreReadInEveryForm) {
  const Bytes der = crl_der(make_crl({}, root).get());
  const std::string text = "text\n" + pem("X509 CRL", der) + pem("X509 CRL", der);
  EXPECT_EQ(read_crls(der, "f").size(), 1u);
  EXPECT_EQ(read_crls(as_bytes(text), "f").size(), 2u);
  Bytes longer = der;
  longer.push_back(0);
  EXPECT_THAT(error_of([&] { read_crls(longer, "f"); }).what(), HasSubstr("1 bytes follow"));
  const Bytes other = certificate_der(root.certificate.get());
  EXPECT_THAT(error_of([&] { read_crls(other, "f"); }).what(), HasSubstr("this is a certificate"));
  EXPECT_EQ(error_of([&] { read_crls({}, "f"); }).kind(), Kind::malformed);
  for (std::size_t cut = 1; cut < der.size(); ++cut) {
    EXPECT_EQ(error_of([&] { read_crls(ByteView(der).first(cut), "f"); }).kind(), Kind::malformed);
  }
}

}  // namespace
}  // namespace hsmith::x509
