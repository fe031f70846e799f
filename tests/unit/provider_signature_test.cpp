// What the provider answers when OpenSSL's functions ask for other signatures than it makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string>

#include "src/ossl/check.h"
#include "src/ossl/remote_key.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"

namespace hsmith::ossl {
namespace {

using ::testing::HasSubstr;
using tests::error_of;
using tests::MemoryKey;

// A remote RSA key, and a context that is about to sign a message with SHA-256.
class RsaSignature : public ::testing::Test {
 protected:
  RsaSignature() {
    check(EVP_DigestSignInit(context_.get(), &inner_, EVP_sha256(), nullptr, remote_.get()) == 1,
          "start");
  }

  // As programs do that build their own OSSL_PARAMs.
  int set(const char* name, const char* text) {
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(name, const_cast<char*>(text), 0),
                                 OSSL_PARAM_construct_end()};
    return EVP_PKEY_CTX_set_params(inner_, params);
  }
  int set(const char* name, int number) {
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_int(name, &number),
                                 OSSL_PARAM_construct_end()};
    return EVP_PKEY_CTX_set_params(inner_, params);
  }
  void use_pss() { ASSERT_EQ(EVP_PKEY_CTX_set_rsa_padding(inner_, RSA_PKCS1_PSS_PADDING), 1); }

  Bytes sign() {
    Bytes signature(512);
    std::size_t size = signature.size();
    check(
        EVP_DigestSign(context_.get(), signature.data(), &size, as_bytes("message").data(), 7) == 1,
        "sign");
    signature.resize(size);
    return signature;
  }
  bool signs_as(const char* scheme) {
    const Scheme expected = choose_scheme(memory_->public_key(), scheme, "sha256");
    return verify(memory_->public_key(), expected, digest(*expected.digest, as_bytes("message")),
                  sign());
  }

  std::shared_ptr<MemoryKey> memory_ = MemoryKey::generate("rsa:2048");
  PKey remote_ = as_pkey(memory_);
  DigestContext context_{EVP_MD_CTX_new()};
  EVP_PKEY_CTX* inner_ = nullptr;
};

TEST_F(RsaSignature, IsPkcs1UnlessAskedOtherwise) { EXPECT_TRUE(signs_as("pkcs1")); }

TEST_F(RsaSignature, TakesThePaddingAsANumber) {
  EXPECT_EQ(set(OSSL_SIGNATURE_PARAM_PAD_MODE, RSA_PKCS1_PSS_PADDING), 1);
  EXPECT_TRUE(signs_as("pss"));
}

TEST_F(RsaSignature, TakesThePaddingAsAText) {
  EXPECT_EQ(set(OSSL_SIGNATURE_PARAM_PAD_MODE, "pss"), 1);
  EXPECT_TRUE(signs_as("pss"));
}

TEST_F(RsaSignature, TakesThePaddingBack) {
  use_pss();
  EXPECT_EQ(set(OSSL_SIGNATURE_PARAM_PAD_MODE, "pkcs1"), 1);
  EXPECT_TRUE(signs_as("pkcs1"));
}

TEST_F(RsaSignature, TakesASaltOfTheDigestsLengthInAnyForm) {
  use_pss();
  for (const char* text : {"digest", "auto", "32"}) {
    EXPECT_EQ(set(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, text), 1) << text;
  }
  for (const int number : {RSA_PSS_SALTLEN_DIGEST, RSA_PSS_SALTLEN_AUTO, 32}) {
    EXPECT_EQ(set(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, number), 1) << number;
  }
  EXPECT_TRUE(signs_as("pss"));
}

TEST_F(RsaSignature, RefusesAnotherSalt) {
  use_pss();
  const std::pair<const char*, const char*> cases[] = {{"20", "not 20"},
                                                       {"0", "not 0"},
                                                       {"max", "not the longest"},
                                                       {"-9", "not -9"},
                                                       {"12x", "\"12x\" is no number"},
                                                       {"", "\"\" is no number"}};
  for (const auto& [text, why] : cases) {
    const Error error = error_of(
        [&, text = text] { check(set(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, text) == 1, "set"); });
    EXPECT_EQ(error.kind(), Kind::unsupported);
    EXPECT_THAT(error.what(), HasSubstr(why));
  }
  EXPECT_THAT(
      error_of([&] { check(EVP_PKEY_CTX_set_rsa_pss_saltlen(inner_, 20) == 1, "set"); }).what(),
      HasSubstr("as long as the digest, 32 bytes, not 20"));
}

TEST_F(RsaSignature, RefusesASaltThatWasSetBeforePss) {
  ASSERT_EQ(set(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, 20), 1);
  EXPECT_THAT(
      error_of([&] { check(set(OSSL_SIGNATURE_PARAM_PAD_MODE, "pss") == 1, "set"); }).what(),
      HasSubstr("not 20"));
  EXPECT_EQ(error_of([&] { sign(); }).kind(), Kind::unsupported);
  EXPECT_EQ(memory_->signatures, 0);
}

TEST_F(RsaSignature, TakesTheMessagesDigestForMgf1AndNoOther) {
  use_pss();
  EXPECT_EQ(EVP_PKEY_CTX_set_rsa_mgf1_md(inner_, EVP_sha256()), 1);
  EXPECT_EQ(set(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, "SHA2-256"), 1);
  EXPECT_TRUE(signs_as("pss"));
  const Error error =
      error_of([&] { check(EVP_PKEY_CTX_set_rsa_mgf1_md(inner_, EVP_sha512()) == 1, "set"); });
  EXPECT_EQ(error.kind(), Kind::unsupported);
  EXPECT_THAT(error.what(), HasSubstr("not sha512 and sha256"));
}

TEST_F(RsaSignature, TellsWhatItWillMake) {
  use_pss();
  int padding = 0;
  int salt = 0;
  const EVP_MD* md = nullptr;
  const EVP_MD* mgf1 = nullptr;
  EXPECT_GT(EVP_PKEY_CTX_get_rsa_padding(inner_, &padding), 0);
  EXPECT_GT(EVP_PKEY_CTX_get_rsa_pss_saltlen(inner_, &salt), 0);
  EXPECT_GT(EVP_PKEY_CTX_get_signature_md(inner_, &md), 0);
  EXPECT_GT(EVP_PKEY_CTX_get_rsa_mgf1_md(inner_, &mgf1), 0);
  EXPECT_EQ(padding, RSA_PKCS1_PSS_PADDING);
  EXPECT_EQ(salt, 32);
  EXPECT_EQ(EVP_MD_get_type(md), NID_sha256);
  EXPECT_EQ(EVP_MD_get_type(mgf1), NID_sha256);
}

TEST_F(RsaSignature, RefusesOtherPaddings) {
  for (const char* text : {"none", "x931", "oaep", ""}) {
    EXPECT_THAT(
        error_of([&] { check(set(OSSL_SIGNATURE_PARAM_PAD_MODE, text) == 1, "set"); }).what(),
        HasSubstr("is neither PKCS#1 v1.5 nor PSS"));
  }
  EXPECT_THAT(error_of([&] {
                check(set(OSSL_SIGNATURE_PARAM_PAD_MODE, RSA_NO_PADDING) == 1, "set");
              }).what(),
              HasSubstr("the padding 3 is neither"));
}

TEST_F(RsaSignature, RefusesAParameterOfAnotherKind) {
  const double real = 1;
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_double(OSSL_SIGNATURE_PARAM_PAD_MODE, const_cast<double*>(&real)),
      OSSL_PARAM_construct_end()};
  EXPECT_THAT(error_of([&] { check(EVP_PKEY_CTX_set_params(inner_, params) == 1, "set"); }).what(),
              HasSubstr("the parameter pad-mode is neither a number nor a text"));
}

TEST_F(RsaSignature, KeepsItsDigestWhileAMessageIsHashed) {
  EXPECT_EQ(set(OSSL_SIGNATURE_PARAM_DIGEST, "SHA256"), 1);
  EXPECT_THAT(
      error_of([&] { check(set(OSSL_SIGNATURE_PARAM_DIGEST, "SHA512") == 1, "set"); }).what(),
      HasSubstr("cannot change while a message is hashed"));
  EXPECT_TRUE(signs_as("pkcs1"));
}

TEST_F(RsaSignature, CanStartAgainWithAnotherDigest) {
  ASSERT_EQ(EVP_DigestSignUpdate(context_.get(), "old", 3), 1);
  ASSERT_EQ(EVP_DigestSignInit(context_.get(), nullptr, EVP_sha256(), nullptr, nullptr), 1);
  EXPECT_TRUE(signs_as("pkcs1"));
}

TEST_F(RsaSignature, RefusesDigestsThatAreWeakOrUnknown) {
  const DigestContext weak(EVP_MD_CTX_new());
  const Error error = error_of([&] {
    check(EVP_DigestSignInit(weak.get(), nullptr, EVP_sha1(), nullptr, remote_.get()) == 1,
          "start");
  });
  EXPECT_EQ(error.kind(), Kind::refused);
  EXPECT_STREQ(error.what(), "sign: SHA-1 is too weak for a new signature");
  const DigestContext unknown(EVP_MD_CTX_new());
  EXPECT_THAT(error_of([&] {
                check(EVP_DigestSignInit(unknown.get(), nullptr, EVP_sha3_256(), nullptr,
                                         remote_.get()) == 1,
                      "start");
              }).what(),
              HasSubstr("unknown digest \"sha3-256\""));
}

// ---- EVP_PKEY_sign: the digest is made elsewhere.

class DigestSignature : public ::testing::TestWithParam<const char*> {
 protected:
  DigestSignature() { check(EVP_PKEY_sign_init(context_.get()) == 1, "start"); }
  int sign(ByteView digest) {
    std::size_t size = signature_.size();
    const int result =
        EVP_PKEY_sign(context_.get(), signature_.data(), &size, digest.data(), digest.size());
    signature_.resize(result == 1 ? size : signature_.size());
    return result;
  }

  std::shared_ptr<MemoryKey> memory_ = MemoryKey::generate(GetParam());
  PKey remote_ = as_pkey(memory_);
  PKeyContext context_{EVP_PKEY_CTX_new_from_pkey(nullptr, remote_.get(), nullptr)};
  Bytes signature_ = Bytes(512);
};

TEST_P(DigestSignature, IsMadeOfADigest) {
  ASSERT_EQ(EVP_PKEY_CTX_set_signature_md(context_.get(), EVP_sha384()), 1);
  const Scheme scheme = choose_scheme(memory_->public_key(), "", "sha384");
  const Bytes value = digest(*scheme.digest, as_bytes("message"));
  ASSERT_EQ(sign(value), 1);
  EXPECT_TRUE(verify(memory_->public_key(), scheme, value, signature_));
}

TEST_P(DigestSignature, NeedsTheDigestsName) {
  EXPECT_STREQ(error_of([&] { check(sign(Bytes(32)) == 1, "sign"); }).what(),
               "sign: no digest is named");
}

TEST_P(DigestSignature, RefusesADigestOfAnotherLength) {
  ASSERT_EQ(EVP_PKEY_CTX_set_signature_md(context_.get(), EVP_sha384()), 1);
  EXPECT_STREQ(error_of([&] { check(sign(Bytes(32)) == 1, "sign"); }).what(),
               "sign: 32 bytes are no sha384 digest");
  EXPECT_EQ(memory_->signatures, 0);
}

INSTANTIATE_TEST_SUITE_P(, DigestSignature, ::testing::Values("rsa:2048", "ec:p521"),
                         [](const auto& one) {
                           std::string name = one.param;
                           std::erase(name, ':');
                           return name;
                         });

TEST(EcSignature, HasNoPadding) {
  const PKey remote = as_pkey(MemoryKey::generate("ec:p256"));
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* inner = nullptr;
  ASSERT_EQ(EVP_DigestSignInit(context.get(), &inner, EVP_sha256(), nullptr, remote.get()), 1);
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, const_cast<char*>("pss"), 0),
      OSSL_PARAM_construct_end()};
  EXPECT_STREQ(error_of([&] { check(EVP_PKEY_CTX_set_params(inner, params) == 1, "set"); }).what(),
               "sign: only RSA keys have a padding");
}

// ---- Keys that misbehave, and errors of others.

class WrongKey : public MemoryKey {
 public:
  explicit WrongKey(Bytes answer)
      : MemoryKey(tests::generate_software_key("ec:p256")), answer_(std::move(answer)) {}
  Bytes sign(const Scheme&, ByteView) override { return answer_; }

 private:
  Bytes answer_;
};

TEST(RemoteSignature, IsRefusedWhenItCannotBeOne) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{73}, std::size_t{100000}}) {
    const PKey remote = as_pkey(std::make_shared<WrongKey>(Bytes(size)));
    const Request request(X509_REQ_new());
    X509_REQ_set_pubkey(request.get(), remote.get());
    const Error error = error_of(
        [&] { check(X509_REQ_sign(request.get(), remote.get(), EVP_sha256()) > 0, "sign"); });
    EXPECT_EQ(error.kind(), Kind::token_failed);
    EXPECT_STREQ(error.what(), ("sign: the key gave a signature of " + std::to_string(size) +
                                " bytes, at most 72 fit")
                                   .c_str());
  }
}

TEST(Check, GivesTheFirstReasonInTheQueue) {
  clear_errors();
  const unsigned char junk[] = {0x30, 0x03, 0x01};
  const unsigned char* at = junk;
  const Certificate none(d2i_X509(nullptr, &at, sizeof junk));
  const Error error =
      error_of([&] { check(none != nullptr, "read a certificate", Kind::malformed); });
  EXPECT_EQ(error.kind(), Kind::malformed);
  EXPECT_THAT(error.what(), HasSubstr("read a certificate: "));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(Check, DoesNotBlameAStaleError) {
  ERR_raise_data(ERR_LIB_USER, 1, "left behind by another library");
  const Error error = error_of([] { public_key_from_spki(Bytes(3)); });
  EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("left behind")));
}

TEST(Check, ForgetsAnExceptionThatNobodyAskedFor) {
  const auto memory = MemoryKey::generate("ec:p256");
  const PKey remote = as_pkey(memory);
  memory->fail_next_sign(Error(Kind::token_removed, "sign: the token was removed"));
  const Request request(X509_REQ_new());
  X509_REQ_set_pubkey(request.get(), remote.get());
  EXPECT_EQ(X509_REQ_sign(request.get(), remote.get(), EVP_sha256()), 0);
  clear_errors();
  EXPECT_STREQ(error_of([] { check(false, "do something else"); }).what(),
               "do something else: OpenSSL gives no reason");
}

}  // namespace
}  // namespace hsmith::ossl
