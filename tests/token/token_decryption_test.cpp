#include <fmt/format.h>
#include <gmock/gmock.h>
#include <openssl/rsa.h>

#include "src/ossl/check.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"
#include "tests/support/softhsm_fixture.h"
#include "tokens/token_key.h"

namespace hsmith::tests {
namespace {

using ossl::RsaEncryption;
using ossl::RsaPadding;
using testing::HasSubstr;
using tokens::OpenToken;

RsaEncryption oaep(std::string_view digest, std::string_view mgf1) {
  return {RsaPadding::oaep, &ossl::digest_named(digest), &ossl::digest_named(mgf1)};
}

Bytes encrypted(EVP_PKEY* key, const RsaEncryption& how, ByteView message) {
  const ossl::PKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  ossl::check(EVP_PKEY_encrypt_init(context.get()) == 1, "encrypt");
  if (how.padding == RsaPadding::oaep) {
    ossl::check(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
                    EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), how.digest->md()) == 1 &&
                    EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), how.mgf1->md()) == 1,
                "encrypt");
  }
  std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  Bytes out(size);
  ossl::check(
      EVP_PKEY_encrypt(context.get(), out.data(), &size, message.data(), message.size()) == 1,
      "encrypt");
  return out;
}

class TokenDecryptionTest : public SoftHsmTest {
 protected:
  void expect_decrypts(ossl::RemoteKey& key, const RsaEncryption& how) {
    const Bytes message(32, 0);
    Bytes sealed = encrypted(key.public_key(), how, message);
    EXPECT_EQ(hex(key.decrypt(how, sealed).reveal()), hex(message)) << ossl::describe(how);
    EXPECT_TRUE(key.decrypt_key(how, sealed, 32).good) << ossl::describe(how);
    EXPECT_FALSE(key.decrypt_key(how, sealed, 24).good) << ossl::describe(how);
    sealed.back() ^= 1;
    EXPECT_EQ(error_of([&] { key.decrypt(how, sealed); }).kind(), Kind::decryption_failed);
    EXPECT_FALSE(key.decrypt_key(how, sealed, 32).good) << ossl::describe(how);
  }
};

TEST_F(TokenDecryptionTest, EveryPaddingIsUndoneAlsoWhatTheTokenDoesNotOffer) {
  const OpenToken token = open();
  const auto key = remote_key(token, generate(token, "rsa:2048", "mail", "decrypt").key);
  expect_decrypts(*key, {RsaPadding::pkcs1});
  for (const char* digest : {"sha1", "sha256", "sha512"}) {
    for (const char* mgf1 : {"sha1", "sha256", "sha384"}) expect_decrypts(*key, oaep(digest, mgf1));
  }
}

TEST_F(TokenDecryptionTest, WithoutBareRsaTheTokenItselfUndoesWhatItCan) {
  const auto uri = generate(open(), "rsa:2048", "mail", "decrypt").key.uri;
  inject("hide-mechanism CKM_RSA_X_509");
  const OpenToken token = open();
  const auto key = remote_key(token, find_one(token, tokens::parse_selector(uri)));
  expect_decrypts(*key, {RsaPadding::pkcs1});
  expect_decrypts(*key, oaep("sha1", "sha1"));
  const Error error = error_of([&] { key->decrypt(oaep("sha256", "sha256"), Bytes(256, 1)); });
  EXPECT_EQ(error.kind(), Kind::unsupported);
}

TEST_F(TokenDecryptionTest, WhatATokenDoesNotHaveAtAllIsUnsupported) {
  const auto uri = generate(open(), "rsa:2048", "mail", "decrypt").key.uri;
  inject("hide-mechanism CKM_RSA_X_509; hide-mechanism CKM_RSA_PKCS_OAEP");
  const OpenToken token = open();
  const auto key = remote_key(token, find_one(token, tokens::parse_selector(uri)));
  const Error error = error_of([&] { key->decrypt_key(oaep("sha1", "sha1"), Bytes(256, 1), 32); });
  EXPECT_EQ(error.kind(), Kind::unsupported);
  EXPECT_THAT(error.what(), HasSubstr("RSA-OAEP with sha1"));
}

TEST_F(TokenDecryptionTest, ATokenThatIsRemovedIsNoBadPadding) {
  const auto uri = generate(open(), "rsa:2048", "mail", "decrypt").key.uri;
  inject("fail C_Decrypt always CKR_DEVICE_REMOVED");
  const OpenToken token = open();
  const auto key = remote_key(token, find_one(token, tokens::parse_selector(uri)));
  const Bytes sealed = encrypted(key->public_key(), {RsaPadding::pkcs1}, Bytes(32, 1));
  for (const RsaEncryption& how : {RsaEncryption{RsaPadding::pkcs1}, oaep("sha1", "sha1")})
    EXPECT_EQ(error_of([&] { key->decrypt_key(how, sealed, 32); }).kind(), Kind::token_removed);
}

// As OpenSC 0.23 answers for a card that was pulled out, and SoftHSM to a ciphertext that it cannot
// open: only another call tells the two apart.
TEST_F(TokenDecryptionTest, ATokenThatNoLongerAnswersIsNoBadPadding) {
  const auto uri = generate(open(), "rsa:2048", "mail", "decrypt").key.uri;
  const RsaEncryption how{RsaPadding::pkcs1};
  const char broken[] = "hide-mechanism CKM_RSA_X_509; fail C_Decrypt always CKR_GENERAL_ERROR";
  for (const bool answers : {true, false}) {
    inject(answers ? broken
                   : fmt::format("{}; fail C_GenerateRandom always CKR_GENERAL_ERROR", broken));
    const OpenToken token = open();
    const auto key = remote_key(token, find_one(token, tokens::parse_selector(uri)));
    const Bytes sealed = encrypted(key->public_key(), how, Bytes(32, 1));
    const Error error = error_of([&] { key->decrypt(how, sealed); });
    EXPECT_EQ(error.kind(), answers ? Kind::decryption_failed : Kind::token_failed);
    if (!answers) continue;
    EXPECT_FALSE(key->decrypt_key(how, sealed, 32).good);
  }
}

// A key of a kind that hsmith does not make.
std::string make_rsa_key(const OpenToken& token, CK_ATTRIBUTE_TYPE use, bool always_authenticate) {
  static constexpr unsigned char kF4[] = {1, 0, 1};
  pkcs11::Template public_key;
  public_key.set_number(CKA_MODULUS_BITS, 2048).set(CKA_PUBLIC_EXPONENT, kF4);
  pkcs11::Template private_key;
  private_key.set_bool(CKA_TOKEN, true)
      .set_bool(CKA_PRIVATE, true)
      .set_bool(CKA_SENSITIVE, true)
      .set_bool(CKA_SIGN, false)
      .set_bool(CKA_DECRYPT, use == CKA_DECRYPT)
      .set_bool(CKA_UNWRAP, use == CKA_UNWRAP)
      .set_bool(CKA_ALWAYS_AUTHENTICATE, always_authenticate)
      .set_text(CKA_LABEL, "foreign");
  token.session->generate_pair({CKM_RSA_PKCS_KEY_PAIR_GEN, {}}, public_key, private_key);
  return "foreign";
}

TEST_F(TokenDecryptionTest, AKeyThatMayOnlyUnwrapDecryptsKeys) {
  const OpenToken token = open();
  const std::string name = make_rsa_key(token, CKA_UNWRAP, false);
  const auto key = remote_key(token, find_one(token, tokens::parse_selector(name)));
  expect_decrypts(*key, {RsaPadding::pkcs1});
  expect_decrypts(*key, oaep("sha1", "sha1"));
}

TEST_F(TokenDecryptionTest, AKeyThatWantsItsOwnLoginGetsOneForEachDecryption) {
  const OpenToken token = open();
  const std::string name = make_rsa_key(token, CKA_DECRYPT, true);
  const tokens::Key found = find_one(token, tokens::parse_selector(name));
  ASSERT_TRUE(found.always_authenticate);
  expect_decrypts(*remote_key(token, found), {RsaPadding::pkcs1});
  expect_decrypts(*remote_key(token, found), oaep("sha256", "sha256"));
}

TEST_F(TokenDecryptionTest, AKeyThatWasNotMadeForItIsUnsupported) {
  const OpenToken token = open();
  const auto key = remote_key(token, generate(token, "rsa:2048", "web", "sign").key);
  for (const RsaEncryption& how :
       {RsaEncryption{RsaPadding::pkcs1}, oaep("sha1", "sha1"), RsaEncryption{RsaPadding::none}}) {
    const Bytes sealed(256, 1);
    const Error error = error_of([&] { key->decrypt(how, sealed); });
    EXPECT_EQ(error.kind(), Kind::unsupported);
    EXPECT_THAT(error.what(), HasSubstr("the key was not made for decryption"));
    EXPECT_EQ(error_of([&] { key->decrypt_key(how, sealed, 32); }).kind(), Kind::unsupported);
  }
}

TEST_F(TokenDecryptionTest, ACiphertextThatIsNoNumberBelowTheModulusFailsLikeABadPadding) {
  const OpenToken token = open();
  const auto key = remote_key(token, generate(token, "rsa:2048", "mail", "decrypt").key);
  for (const Bytes& sealed : {Bytes(256, 0xff), Bytes(255, 1), Bytes(257, 0), Bytes()}) {
    for (const RsaEncryption& how :
         {RsaEncryption{RsaPadding::pkcs1}, oaep("sha1", "sha1"), oaep("sha256", "sha256")}) {
      EXPECT_EQ(error_of([&] { key->decrypt(how, sealed); }).kind(), Kind::decryption_failed);
      EXPECT_FALSE(key->decrypt_key(how, sealed, 32).good);
    }
  }
}

TEST_F(TokenDecryptionTest, EcKeysAgreeWithASoftwareKeyOnEveryCurve) {
  const OpenToken token = open();
  for (const char* type : {"ec:p256", "ec:p384", "ec:p521"}) {
    const auto key = remote_key(token, generate(token, type, type, "derive").key);
    const auto peer = MemoryKey::generate(type);
    EXPECT_EQ(hex(key->derive(ossl::public_key_bits(peer->public_key())).reveal()),
              hex(peer->derive(ossl::public_key_bits(key->public_key())).reveal()));
  }
}

TEST_F(TokenDecryptionTest, APointThatIsNotOnTheCurveNeverReachesTheToken) {
  const auto uri = generate(open(), "ec:p256", "agree", "derive").key.uri;
  inject("assert never C_DeriveKey");
  const OpenToken token = open();
  const auto key = remote_key(token, find_one(token, tokens::parse_selector(uri)));
  Bytes point = ossl::public_key_bits(MemoryKey::generate("ec:p256")->public_key());
  point.back() ^= 1;
  EXPECT_EQ(error_of([&] { key->derive(point); }).kind(), Kind::malformed);
  EXPECT_EQ(error_of([&] { key->derive(Bytes{0}); }).kind(), Kind::malformed);
  EXPECT_EQ(error_of([&] { key->derive({}); }).kind(), Kind::malformed);
  const Bytes other = ossl::public_key_bits(MemoryKey::generate("ec:p384")->public_key());
  EXPECT_EQ(error_of([&] { key->derive(other); }).kind(), Kind::malformed);
  EXPECT_THAT(fault_log(), testing::Not(HasSubstr("C_DeriveKey")));
}

}  // namespace
}  // namespace hsmith::tests
