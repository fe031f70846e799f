#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <utility>

#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/ossl/remote_key.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"

namespace hsmith::ossl {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using tests::error_of;
using tests::generate_software_key;

Bytes bytes(std::string_view hex_text) { return parse_hex(hex_text).value(); }

TEST(DigestInfo, IsThatOfTheStandard) {  // RFC 8017, 9.2, notes
  const std::pair<const char*, const char*> prefixes[] = {
      {"sha1", "3021300906052b0e03021a05000414"},
      {"sha256", "3031300d060960864801650304020105000420"},
      {"sha384", "3041300d060960864801650304020205000430"},
      {"sha512", "3051300d060960864801650304020305000440"},
  };
  for (const auto& [name, prefix] : prefixes) {
    const Bytes value = digest(digest_named(name), as_bytes("abc"));
    EXPECT_EQ(hex(digest_info(digest_named(name), value)), prefix + hex(value));
  }
}

TEST(DigestInfo, RefusesADigestOfAnotherLength) {
  const Error error = error_of([] { digest_info(digest_named("sha256"), Bytes(20)); });
  EXPECT_EQ(error.kind(), Kind::malformed);
  EXPECT_STREQ(error.what(), "encode a digest: 20 bytes are no sha256 digest, which has 32");
}

TEST(AlgorithmIdentifiers, AreThoseOfTheStandards) {
  const struct {
    const char* key;
    const char* scheme;
    const char* digest;
    const char* der;
  } cases[] = {
      {"rsa:2048", "pkcs1", "sha256", "300d06092a864886f70d01010b0500"},
      {"rsa:2048", "pkcs1", "sha512", "300d06092a864886f70d01010d0500"},
      {"rsa:2048", "pss", "sha256",
       "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010"
       "1"
       "08300d06096086480165030402010500a203020120"},
      {"rsa:2048", "pss", "sha384",
       "304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010"
       "1"
       "08300d06096086480165030402020500a203020130"},
      {"rsa:2048", "pss", "sha512",
       "304106092a864886f70d01010a3034a00f300d06096086480165030402030500a11c301a06092a864886f70d010"
       "1"
       "08300d06096086480165030402030500a203020140"},
      {"ec:p256", "", "sha256", "300a06082a8648ce3d040302"},
      {"ec:p384", "", "sha384", "300a06082a8648ce3d040303"},
      {"ec:p521", "", "sha512", "300a06082a8648ce3d040304"},
      {"ed25519", "", "", "300506032b6570"},
  };
  for (const auto& one : cases) {
    const PKey key = generate_software_key(one.key);
    const Scheme scheme = choose_scheme(key.get(), one.scheme, one.digest);
    EXPECT_EQ(hex(algorithm_identifier(key.get(), scheme)), one.der);
  }
}

class EcdsaSignatures : public ::testing::Test {
 protected:
  PKey key_ = generate_software_key("ec:p256");
};

// 32 bytes: zeros, then `last`.
Bytes scalar(std::string_view last) {
  Bytes value(32);
  const Bytes tail = bytes(last);
  std::copy(tail.rbegin(), tail.rend(), value.rbegin());
  return value;
}

TEST_F(EcdsaSignatures, LoseLeadingZerosInDerAndGainThemBack) {
  Bytes raw = scalar("01");
  const Bytes s = scalar("80");
  raw.insert(raw.end(), s.begin(), s.end());
  const Bytes der = ecdsa_der_from_raw(key_.get(), raw);
  EXPECT_EQ(hex(der), "300702010102020080");
  EXPECT_EQ(ecdsa_raw_from_der(key_.get(), der), raw);
}

TEST_F(EcdsaSignatures, KeepTheirValueBothWays) {
  for (const char* type : {"ec:p256", "ec:p384", "ec:p521"}) {
    const auto key = tests::MemoryKey::generate(type);
    const Scheme scheme = choose_scheme(key->public_key(), "", "");
    const Bytes hash = digest(*scheme.digest, as_bytes("message"));
    const Bytes der = key->sign(scheme, hash);
    const Bytes raw = ecdsa_raw_from_der(key->public_key(), der);
    EXPECT_EQ(raw.size(), 2 * ((static_cast<std::size_t>(key_type_named(type).bits) + 7) / 8));
    EXPECT_EQ(ecdsa_der_from_raw(key->public_key(), raw), der);
  }
}

TEST_F(EcdsaSignatures, AreRefusedRawWhenTheyAreMalformed) {
  const Bytes zero_s = [] {
    Bytes raw = scalar("01");
    raw.resize(64);
    return raw;
  }();
  for (const Bytes& raw : {Bytes(), Bytes(63, 1), Bytes(65, 1), Bytes(64), zero_s}) {
    const Error error = error_of([&] { ecdsa_der_from_raw(key_.get(), raw); });
    EXPECT_EQ(error.kind(), Kind::malformed) << raw.size();
    EXPECT_THAT(error.what(), StartsWith("read an ECDSA signature: "));
  }
}

TEST_F(EcdsaSignatures, AreRefusedInDerWhenTheyAreMalformed) {
  const std::pair<const char*, const char*> cases[] = {
      {"30", "that is no DER"},                  // cut
      {"3006020101020101ff", "that is no DER"},  // a byte too many
      {"3006020101020181", "that is no DER"},    // negative s
      {"308006020101020101", "that is no DER"},  // indefinite length
      {"300702010102020001", "that is no DER"},  // a zero that is not needed
      {"3006020101020100", "r or s is zero"},    //
      {"0406020101020101", "that is no DER"},    // another tag
      {"3003020101", "that is no DER"},          // s is missing
  };
  for (const auto& [der, why] : cases) {
    const Error error = error_of([&, der = der] { ecdsa_raw_from_der(key_.get(), bytes(der)); });
    EXPECT_EQ(error.kind(), Kind::malformed) << der;
    EXPECT_THAT(error.what(), HasSubstr(why)) << der;
    EXPECT_EQ(ERR_peek_error(), 0u) << der;
  }
  EXPECT_EQ(error_of([&] { ecdsa_raw_from_der(key_.get(), {}); }).kind(), Kind::malformed);
}

TEST_F(EcdsaSignatures, AreRefusedInDerWhenTheyAreLongerThanTheCurve) {
  const PKey larger = generate_software_key("ec:p384");
  const Bytes der = ecdsa_der_from_raw(larger.get(), Bytes(96, 0x7f));
  EXPECT_THAT(error_of([&] { ecdsa_raw_from_der(key_.get(), der); }).what(),
              HasSubstr("longer than the curve's 32 bytes"));
}

TEST(Verification, AnswersYesToTheSignatureAndNoToAnythingElse) {
  const std::pair<const char*, const char*> cases[] = {
      {"rsa:2048", "pkcs1"}, {"rsa:2048", "pss"}, {"ec:p256", ""}, {"ed25519", ""}};
  for (const auto& [type, name] : cases) {
    const auto key = tests::MemoryKey::generate(type);
    const auto stranger = tests::MemoryKey::generate(type);
    const Scheme scheme = choose_scheme(key->public_key(), name, "");
    const Bytes message = scheme.digest != nullptr ? digest(*scheme.digest, as_bytes("message"))
                                                   : to_bytes(as_bytes("message"));
    Bytes other = message;
    other[0] ^= 1;
    Bytes signature = key->sign(scheme, message);
    EXPECT_TRUE(verify(key->public_key(), scheme, message, signature)) << type << name;
    EXPECT_FALSE(verify(key->public_key(), scheme, other, signature)) << type << name;
    EXPECT_FALSE(verify(stranger->public_key(), scheme, message, signature)) << type << name;
    EXPECT_FALSE(verify(key->public_key(), scheme, message, {})) << type << name;
    signature.back() ^= 1;
    EXPECT_FALSE(verify(key->public_key(), scheme, message, signature)) << type << name;
    EXPECT_EQ(ERR_peek_error(), 0u) << type << name;
  }
}

TEST(Verification, AsksThePublicHalfOfARemoteKey) {
  for (const char* type : {"rsa:2048", "ec:p256", "ed25519"}) {
    const auto key = tests::MemoryKey::generate(type);
    const Scheme scheme = choose_scheme(key->public_key(), "", "");
    Bytes message(32, 7);
    Bytes signature = key->sign(scheme, message);
    const PKey remote = as_pkey(key);
    EXPECT_TRUE(verify(remote.get(), scheme, message, signature)) << type;
    message[0] ^= 1;
    EXPECT_FALSE(verify(remote.get(), scheme, message, signature)) << type;
  }
}

TEST(Verification, TriesNoOtherScheme) {
  const auto key = tests::MemoryKey::generate("rsa:2048");
  const Scheme pkcs1 = choose_scheme(key->public_key(), "pkcs1", "sha256");
  const Scheme pss = choose_scheme(key->public_key(), "pss", "sha256");
  const Scheme sha512 = choose_scheme(key->public_key(), "pkcs1", "sha512");
  const Bytes hash = digest(*pkcs1.digest, as_bytes("message"));
  const Bytes signature = key->sign(pkcs1, hash);
  EXPECT_FALSE(verify(key->public_key(), pss, hash, signature));
  EXPECT_FALSE(verify(key->public_key(), sha512, hash, signature));
}

TEST(Verification, LeavesOlderErrorsInTheQueue) {
  const auto key = tests::MemoryKey::generate("ec:p256");
  const Scheme scheme = choose_scheme(key->public_key(), "", "");
  clear_errors();
  ERR_raise(ERR_LIB_USER, 1);
  EXPECT_FALSE(verify(key->public_key(), scheme, Bytes(32), Bytes(70)));
  EXPECT_EQ(ERR_GET_REASON(ERR_get_error()), 1);
  EXPECT_EQ(ERR_get_error(), 0u);
}

}  // namespace
}  // namespace hsmith::ossl
