#include "src/ossl/algorithms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/objects.h>
#include <string>

#include "src/ossl/check.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"

namespace hsmith::ossl {
namespace {

using ::testing::HasSubstr;
using tests::error_of;
using tests::generate_software_key;

Bytes bytes(std::string_view hex_text) { return parse_hex(hex_text).value(); }

TEST(KeyTypes, AreFoundByTheirName) {
  for (const KeyType& type : key_types()) EXPECT_EQ(&key_type_named(type.name), &type);
  EXPECT_EQ(key_type_named("rsa:3072").bits, 3072);
  EXPECT_EQ(key_type_named("ec:p384").algorithm, KeyAlgorithm::ec);
}

TEST(KeyTypes, SuggestTheNearestName) {
  const Error error = error_of([] { key_type_named("ec:p265"); });
  EXPECT_EQ(error.kind(), Kind::usage);
  EXPECT_STREQ(error.what(), "unknown key type \"ec:p265\"");
  EXPECT_EQ(error.hint(), "did you mean ec:p256?");
}

TEST(KeyTypes, ListAllNamesWhenNoneIsNear) {
  EXPECT_EQ(error_of([] { key_type_named("dilithium"); }).hint(),
            "use one of rsa:2048, rsa:3072, rsa:4096, ec:p256, ec:p384, ec:p521, ed25519, aes:256");
}

TEST(KeyTypes, CarryTheOidThatOpensslKnowsTheirCurveBy) {
  for (const KeyType& type : key_types()) {
    if (type.group == nullptr) continue;
    const int nid = OBJ_txt2nid(type.group);
    ASSERT_NE(nid, NID_undef) << type.name;
    EXPECT_EQ(hex(der_of(i2d_ASN1_OBJECT, OBJ_nid2obj(nid))), type.curve_oid_der_hex) << type.name;
  }
}

TEST(KeyTypes, AreFoundByTheirCurve) {
  EXPECT_STREQ(key_type_of_curve(bytes("06082a8648ce3d030107"))->name, "ec:p256");
  EXPECT_STREQ(key_type_of_curve(bytes("06052b81040023"))->name, "ec:p521");
  EXPECT_STREQ(key_type_of_curve(bytes("06032b6570"))->name, "ed25519");
}

TEST(KeyTypes, KnowTheOtherNamesThatTokensGiveToEd25519) {
  EXPECT_STREQ(key_type_of_curve(bytes("130c656477617264733235353139"))->name, "ed25519");
  EXPECT_STREQ(key_type_of_curve(bytes("06092b06010401da470f01"))->name, "ed25519");
}

TEST(KeyTypes, DoNotKnowOtherCurves) {
  EXPECT_EQ(key_type_of_curve(bytes("06052b8104000a")), nullptr);          // secp256k1
  EXPECT_EQ(key_type_of_curve(bytes("06082a8648ce3d03010700")), nullptr);  // a byte too many
  EXPECT_EQ(key_type_of_curve(bytes("06082a8648ce3d0301")), nullptr);      // a byte too few
  EXPECT_EQ(key_type_of_curve({}), nullptr);
}

TEST(KeyTypes, AreToldFromAKey) {
  for (const char* name : {"rsa:2048", "ec:p256", "ec:p384", "ec:p521", "ed25519"}) {
    EXPECT_EQ(key_type_name(generate_software_key(name).get()), name);
  }
}

TEST(KeyTypes, NameKeysOutsideTheTableToo) {
  const PKey rsa(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{1024}));
  const PKey brainpool(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "brainpoolP256r1"));
  const PKey x25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  EXPECT_EQ(key_type_name(rsa.get()), "rsa:1024");
  EXPECT_EQ(key_type_name(brainpool.get()), "ec:brainpoolP256r1");
  EXPECT_EQ(key_type_name(x25519.get()), "x25519");
}

TEST(KeyTypes, RefuseAKeyThatCannotSign) {
  const PKey x25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  const Error error = error_of([&] { algorithm_of(x25519.get()); });
  EXPECT_EQ(error.kind(), Kind::unsupported);
  EXPECT_THAT(error.what(), HasSubstr("x25519"));
}

TEST(Digests, AreFoundWhateverTheSpelling) {
  for (const char* name : {"sha256", "SHA256", "SHA-256", "sha-256"}) {
    EXPECT_STREQ(digest_named(name).name, "sha256") << name;
  }
}

TEST(Digests, SuggestTheNearestName) {
  const Error error = error_of([] { digest_named("sha258"); });
  EXPECT_EQ(error.kind(), Kind::usage);
  EXPECT_STREQ(error.what(), "unknown digest \"sha258\"");
  EXPECT_EQ(error.hint(), "did you mean sha256?");
}

TEST(Digests, HaveTheSizeOfTheirFunction) {
  for (const DigestType& type : digest_types()) {
    EXPECT_EQ(static_cast<std::size_t>(EVP_MD_get_size(type.md())), type.size) << type.name;
  }
}

TEST(Digests, OfAMessageAreThoseOfTheStandard) {  // FIPS 180, the example "abc"
  EXPECT_EQ(hex(digest(digest_named("sha1"), as_bytes("abc"))),
            "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex(digest(digest_named("sha256"), as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digests, AreTheSameInBlocks) {
  for (const DigestType& type : digest_types()) {
    Hasher hasher(type);
    hasher.update(as_bytes("a"));
    hasher.update({});
    hasher.update(as_bytes("bc"));
    EXPECT_EQ(hasher.finish(), digest(type, as_bytes("abc"))) << type.name;
  }
}

struct SchemeCase {
  const char* key;
  const char* scheme;
  const char* digest;
  const char* described;
};

TEST(Schemes, FitTheKey) {
  const SchemeCase cases[] = {
      {"rsa:2048", "", "", "RSA PKCS#1 v1.5 with sha256"},
      {"rsa:2048", "pkcs1", "sha512", "RSA PKCS#1 v1.5 with sha512"},
      {"rsa:2048", "pss", "", "RSA-PSS with sha256"},
      {"rsa:2048", "pss", "SHA-384", "RSA-PSS with sha384"},
      {"ec:p256", "", "", "ECDSA with sha256"},
      {"ec:p384", "ecdsa", "", "ECDSA with sha384"},
      {"ec:p521", "", "", "ECDSA with sha512"},
      {"ec:p521", "", "sha256", "ECDSA with sha256"},
      {"ed25519", "", "", "Ed25519"},
      {"ed25519", "eddsa", "", "Ed25519"},
  };
  for (const SchemeCase& one : cases) {
    const PKey key = generate_software_key(one.key);
    EXPECT_EQ(describe(key.get(), choose_scheme(key.get(), one.scheme, one.digest)), one.described);
  }
}

TEST(Schemes, TakeADigestAsLongAsAnUnlistedCurve) {
  const PKey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "brainpoolP384r1"));
  EXPECT_EQ(describe(key.get(), choose_scheme(key.get(), "", "")), "ECDSA with sha384");
}

TEST(Schemes, AreRefusedWhenTheKeyCannotMakeThem) {
  const SchemeCase cases[] = {
      {"ec:p256", "pss", "", "an EC key cannot make pss signatures"},
      {"ec:p256", "eddsa", "", "an EC key cannot make eddsa signatures"},
      {"rsa:2048", "ecdsa", "", "an RSA key cannot make ecdsa signatures"},
      {"ed25519", "pkcs1", "", "an Ed25519 key cannot make pkcs1 signatures"},
      {"ed25519", "", "sha512", "signs the whole message, without a digest"},
  };
  for (const SchemeCase& one : cases) {
    const PKey key = generate_software_key(one.key);
    const Error error = error_of([&] { choose_scheme(key.get(), one.scheme, one.digest); });
    EXPECT_EQ(error.kind(), Kind::usage);
    EXPECT_THAT(error.what(), HasSubstr(one.described));
    EXPECT_THAT(error.hint(), HasSubstr("leave --"));
  }
}

TEST(Schemes, SuggestTheNearestName) {
  const PKey key = generate_software_key("rsa:2048");
  const Error error = error_of([&] { choose_scheme(key.get(), "pkcs", ""); });
  EXPECT_STREQ(error.what(), "unknown signature scheme \"pkcs\"");
  EXPECT_EQ(error.hint(), "did you mean pkcs1?");
}

}  // namespace
}  // namespace hsmith::ossl
