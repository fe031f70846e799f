#include "tokens/came_out.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/core_names.h>

#include "src/recovery/private_key.h"
#include "tests/support/memory_key.h"
#include "tokens/import.h"

namespace hsmith::tokens {
namespace {

// The private numbers as a token keeps them.
Bytes number_of(const char* type, EVP_PKEY* key, CK_ATTRIBUTE_TYPE attribute) {
  KeySpec spec;
  spec.type = &ossl::key_type_named(type);
  const PrivateTemplate made = with_private_numbers({}, spec, key);
  for (const CK_ATTRIBUTE& one : made.attributes.view()) {
    const auto* bytes = static_cast<const unsigned char*>(one.pValue);
    if (one.type == attribute) return {bytes, bytes + one.ulValueLen};
  }
  return {};
}

ossl::PKey public_half(EVP_PKEY* key) { return ossl::public_key_from_spki(ossl::spki_of(key)); }

Bytes changed(Bytes bytes) {
  bytes.back() ^= 4;
  return bytes;
}

TEST(CameOutTest, AnRsaKeysNumbersAreKnownAndOthersAreNot) {
  const ossl::PKey key = tests::generate_software_key("rsa:2048");
  const ossl::PKey half = public_half(key.get());
  for (const CK_ATTRIBUTE_TYPE type :
       {CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2}) {
    const Bytes number = number_of("rsa:2048", key.get(), type);
    EXPECT_EQ(attribute_came_out(type, number, half.get()), CameOut::the_key) << type;
    EXPECT_EQ(attribute_came_out(type, changed(number), half.get()), CameOut::something_else);
    EXPECT_EQ(attribute_came_out(type, Bytes(128), half.get()), CameOut::something_else) << type;
  }
  EXPECT_EQ(attribute_came_out(CKA_PRIME_1, Bytes{1}, half.get()), CameOut::something_else);
  // It tells nothing without a prime.
  EXPECT_EQ(attribute_came_out(CKA_COEFFICIENT, Bytes(128, 7), half.get()), CameOut::unknown);
}

TEST(CameOutTest, TheNumberOfACurveIsKnownAndOthersAreNot) {
  for (const char* type : {"ec:p256", "ec:p384", "ec:p521", "ed25519"}) {
    const ossl::PKey key = tests::generate_software_key(type);
    const ossl::PKey half = public_half(key.get());
    const Bytes number = number_of(type, key.get(), CKA_VALUE);
    EXPECT_EQ(attribute_came_out(CKA_VALUE, number, half.get()), CameOut::the_key) << type;
    EXPECT_EQ(key_came_out(number, half.get()), CameOut::the_key) << type;
    EXPECT_EQ(attribute_came_out(CKA_VALUE, changed(number), half.get()), CameOut::something_else);
    for (const std::size_t size : {1u, 32u, 66u, 1000u}) {
      EXPECT_EQ(attribute_came_out(CKA_VALUE, Bytes(size, 0), half.get()), CameOut::something_else);
      EXPECT_EQ(attribute_came_out(CKA_VALUE, Bytes(size, 255), half.get()),
                CameOut::something_else);
    }
  }
}

TEST(CameOutTest, AWholeKeyIsComparedWithItsPublicHalfNumberByNumber) {
  for (const char* type : {"rsa:2048", "ec:p256", "ed25519"}) {
    const ossl::PKey key = tests::generate_software_key(type);
    const ossl::PKey half = public_half(key.get());
    Bytes der = to_bytes(recovery::private_key_der(key.get()).reveal());
    EXPECT_EQ(key_came_out(der, half.get()), CameOut::the_key) << type;
    der.resize(der.size() + 7);  // tokens fill blocks
    EXPECT_EQ(key_came_out(der, half.get()), CameOut::the_key) << type;
    const ossl::PKey other = tests::generate_software_key(type);
    EXPECT_EQ(key_came_out(recovery::private_key_der(other.get()).reveal(), half.get()),
              CameOut::something_else);
  }
}

// The public numbers inside prove nothing of the private ones.
TEST(CameOutTest, AKeyWithTheRightModulusAndAWrongExponentIsSomethingElse) {
  const ossl::PKey key = tests::generate_software_key("rsa:2048");
  const Bytes exponent = number_of("rsa:2048", key.get(), CKA_PRIVATE_EXPONENT);
  Bytes der = to_bytes(recovery::private_key_der(key.get()).reveal());
  const auto found = std::search(der.begin(), der.end(), exponent.begin(), exponent.end());
  ASSERT_NE(found, der.end());
  *found ^= 1;
  EXPECT_NE(key_came_out(der, key.get()), CameOut::the_key);
}

TEST(CameOutTest, OfBytesThatAreNoKeyAndOfSecretKeysNothingIsKnown) {
  const ossl::PKey key = tests::generate_software_key("rsa:2048");
  EXPECT_EQ(key_came_out(Bytes(64, 0), key.get()), CameOut::unknown);
  EXPECT_EQ(key_came_out({}, key.get()), CameOut::unknown);
  EXPECT_EQ(key_came_out(Bytes(32, 1), nullptr), CameOut::unknown);
  EXPECT_EQ(attribute_came_out(CKA_VALUE, Bytes(32, 1), nullptr), CameOut::unknown);
}

}  // namespace
}  // namespace hsmith::tokens
