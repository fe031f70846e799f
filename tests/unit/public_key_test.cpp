#include "src/ossl/public_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tuple>

#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"

namespace hsmith::ossl {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using tests::error_of;
using tests::generate_software_key;

Bytes bytes(std::string_view hex_text) { return parse_hex(hex_text).value(); }

TEST(PublicKeys, SurviveTheirEncoding) {
  for (const char* type : {"rsa:2048", "ec:p256", "ec:p384", "ec:p521", "ed25519"}) {
    const PKey key = generate_software_key(type);
    const Bytes spki = spki_of(key.get());
    const PKey again = public_key_from_spki(spki);
    EXPECT_TRUE(same_public_key(key.get(), again.get())) << type;
    EXPECT_EQ(spki_of(again.get()), spki) << type;
  }
}

// Those of the table by hand, the others by OpenSSL.
TEST(PublicKeys, AreEncodedAsOpenSslEncodesThem) {
  std::vector<PKey> keys;
  for (const char* type : {"rsa:2048", "rsa:3072", "ec:p256", "ec:p384", "ec:p521", "ed25519"})
    keys.push_back(generate_software_key(type));
  keys.emplace_back(EVP_EC_gen("brainpoolP256r1"));
  keys.emplace_back(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  const Bytes point = public_key_bits(keys[2].get());
  Bytes compressed(point.begin(), point.begin() + 33);
  compressed[0] = static_cast<unsigned char>(2 + (point.back() & 1));
  keys.push_back(ec_public_key(key_type_named("ec:p256"), compressed));
  for (const PKey& key : keys) {
    EXPECT_EQ(spki_of(key.get()), der_of(i2d_PUBKEY, key.get()))
        << EVP_PKEY_get0_type_name(key.get());
    const std::unique_ptr<X509_PUBKEY, Deleter<X509_PUBKEY_free>> info(X509_PUBKEY_new());
    set_public_key(info.get(), key.get());
    EXPECT_EQ(der_of(i2d_X509_PUBKEY, info.get()), spki_of(key.get()));
  }
}

TEST(PublicKeys, AreRefusedWhenTheirEncodingIsMalformed) {
  Bytes spki = spki_of(generate_software_key("ec:p256").get());
  EXPECT_EQ(error_of([] { public_key_from_spki({}); }).kind(), Kind::malformed);
  EXPECT_EQ(error_of([&] { public_key_from_spki(ByteView(spki).first(50)); }).kind(),
            Kind::malformed);
  spki.push_back(0);
  EXPECT_THAT(error_of([&] { public_key_from_spki(spki); }).what(),
              HasSubstr("more bytes follow its end"));
}

TEST(PublicKeys, OffTheirCurveOrInAnotherFormAreRefusedInAnEncodingToo) {
  const Bytes spki = spki_of(generate_software_key("ec:p256").get());
  Bytes off_the_curve = spki;
  off_the_curve.back() ^= 1;
  EXPECT_EQ(error_of([&] { public_key_from_spki(off_the_curve); }).kind(), Kind::malformed);
  Bytes hybrid = spki;
  hybrid[spki.size() - 65] = static_cast<unsigned char>(6 + (spki.back() & 1));
  EXPECT_EQ(error_of([&] { public_key_from_spki(hybrid); }).kind(), Kind::malformed);
}

Bytes number(const EVP_PKEY* key, const char* name) {
  BIGNUM* value = nullptr;
  check(EVP_PKEY_get_bn_param(key, name, &value) == 1, "read a number");
  const BigNumber owner(value);
  Bytes big_endian(static_cast<std::size_t>(BN_num_bytes(value)));
  BN_bn2bin(value, big_endian.data());
  return big_endian;
}

TEST(PublicKeys, AreMadeOfAnRsaKeysNumbers) {
  const PKey key = generate_software_key("rsa:2048");
  Bytes modulus = number(key.get(), "n");
  const Bytes exponent = number(key.get(), "e");
  EXPECT_TRUE(same_public_key(rsa_public_key(modulus, exponent).get(), key.get()));
  modulus.insert(modulus.begin(), 0);  // some tokens give a sign byte
  EXPECT_TRUE(same_public_key(rsa_public_key(modulus, exponent).get(), key.get()));
}

TEST(PublicKeys, AreNotMadeOfNumbersThatAreNoRsaKey) {
  const Bytes e = bytes("010001");
  const Bytes odd(256, 0xff);
  Bytes even = odd;
  even.back() = 0xfe;
  const std::tuple<Bytes, Bytes, const char*> cases[] = {
      {{}, e, "a number is empty"},
      {odd, {}, "a number is empty"},
      {Bytes(2049, 0xff), e, "more than 16384 bits"},
      {odd, Bytes(257, 1), "exponent is longer"},
      {even, e, "no RSA modulus"},
      {Bytes(256), e, "no RSA modulus"},
      {bytes("ffff"), bytes("03"), "no RSA modulus"},
      {odd, bytes("01"), "no RSA exponent"},
      {odd, bytes("02"), "no RSA exponent"},
  };
  for (const auto& [n, exponent, why] : cases) {
    const Error error = error_of([&, &n = n, &x = exponent] { rsa_public_key(n, x); });
    EXPECT_EQ(error.kind(), Kind::malformed);
    EXPECT_THAT(error.what(), HasSubstr(why));
  }
}

TEST(PublicKeys, AreMadeOfACurvesPoint) {
  for (const char* type : {"ec:p256", "ec:p384", "ec:p521", "ed25519"}) {
    const PKey key = generate_software_key(type);
    const PKey made = ec_public_key(key_type_named(type), public_key_bits(key.get()));
    EXPECT_TRUE(same_public_key(made.get(), key.get())) << type;
  }
}

TEST(PublicKeys, OfOneCurveHaveEachTheirOwnPointInOneForm) {
  const KeyType& p384 = key_type_named("ec:p384");
  std::vector<std::pair<PKey, Bytes>> made;
  for (int i = 0; i < 4; ++i) {
    const Bytes point = public_key_bits(generate_software_key("ec:p384").get());
    Bytes compressed(point.begin(), point.begin() + 49);
    compressed[0] = static_cast<unsigned char>(2 + (point.back() & 1));
    made.emplace_back(ec_public_key(p384, compressed), point);
    made.emplace_back(ec_public_key(p384, point), point);
  }
  for (const auto& [key, bits] : made) {
    EXPECT_EQ(public_key_bits(key.get()), bits);
    EXPECT_EQ(der_of(i2d_PUBKEY, key.get()), spki_of(key.get()));
    EXPECT_TRUE(same_public_key(key.get(), public_key_from_spki(spki_of(key.get())).get()));
  }
  for (std::size_t i = 0; i + 2 < made.size(); i += 2) {
    EXPECT_TRUE(same_public_key(made[i].first.get(), made[i + 1].first.get()));
    EXPECT_FALSE(same_public_key(made[i].first.get(), made[i + 2].first.get()));
  }
}

TEST(PublicKeys, AreNotMadeOfWhatIsNoPointOfTheCurve) {
  const KeyType& p256 = key_type_named("ec:p256");
  const Bytes good = public_key_bits(generate_software_key("ec:p256").get());
  Bytes off_curve = good;
  off_curve.back() ^= 1;
  Bytes hybrid = good;
  hybrid[0] = 0x06;
  Bytes wrapped = bytes("0441");
  wrapped.insert(wrapped.end(), good.begin(), good.end());
  for (const Bytes& point : {Bytes(), bytes("00"), off_curve, hybrid, wrapped, Bytes(64, 4)}) {
    const Error error = error_of([&] { ec_public_key(p256, point); });
    EXPECT_EQ(error.kind(), Kind::malformed) << hex(point);
    EXPECT_THAT(error.what(), StartsWith("make a public key of type ec:p256 from its point: "));
  }
  EXPECT_THAT(error_of([] { ec_public_key(key_type_named("ed25519"), Bytes(34)); }).what(),
              HasSubstr("34 bytes where 32 are needed"));
}

TEST(PublicKeys, AreIdentifiedByTheSha1OfTheirBits) {  // as X509V3's subjectKeyIdentifier=hash does
  for (const char* type : {"rsa:2048", "ec:p384", "ed25519"}) {
    const PKey key = generate_software_key(type);
    const Certificate certificate(X509_new());
    ASSERT_EQ(X509_set_pubkey(certificate.get(), key.get()), 1);
    unsigned char expected[20];
    ASSERT_EQ(X509_pubkey_digest(certificate.get(), EVP_sha1(), expected, nullptr), 1);
    EXPECT_EQ(hex(key_identifier(key.get())), hex(expected)) << type;
  }
}

TEST(PublicKeys, DifferBetweenKeys) {
  const PKey a = generate_software_key("ec:p256");
  const PKey b = generate_software_key("ec:p256");
  const PKey other = generate_software_key("ed25519");
  EXPECT_FALSE(same_public_key(a.get(), b.get()));
  EXPECT_FALSE(same_public_key(a.get(), other.get()));
  EXPECT_FALSE(same_public_key(a.get(), nullptr));
}

}  // namespace
}  // namespace hsmith::ossl
