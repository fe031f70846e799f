#include "src/cms/jws.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/base64.h"
#include "src/base/error.h"
#include "tests/support/certificates_fixture.h"
#include "tests/support/error_of.h"

namespace hsmith::cms {
namespace {

using ::testing::HasSubstr;
using tests::error_of;

constexpr std::string_view kText = "{\"some\":\"claims\"}";

const Content kContent = [](const auto& take) { take(as_bytes(kText)); };

class Jws : public ::testing::TestWithParam<const char*> {
 protected:
  std::string make(Placing placing) {
    return make_jws({key_, ossl::choose_scheme(key_->public_key(), "", ""), certificate_.get(), {}},
                    placing, kContent);
  }

  std::shared_ptr<tests::MemoryKey> key_ = tests::MemoryKey::generate(GetParam());
  tests::Identity root_ = tests::root();
  ossl::Certificate certificate_ = tests::certify({}, key_, &root_);
};

VerifiedMessage verified(std::string_view text, const Content* content = nullptr,
                         EVP_PKEY* key = nullptr) {
  return verify_jws(as_bytes(text), content, key, "m.jws");
}

bool accepted(std::string_view text, const Content* content = nullptr) {
  try {
    return verified(text, content).signatures.front().verifies;
  } catch (const Error& error) {
    EXPECT_THAT((std::vector{Kind::malformed, Kind::unsupported, Kind::usage}),
                ::testing::Contains(error.kind()))
        << error.what();
    return false;
  }
}

TEST_P(Jws, VerifyWithTheirCertificate) {
  const std::string text = make(Placing::attached);
  EXPECT_TRUE(looks_like_jws(as_bytes(text)));
  const VerifiedMessage message = verified(text + "\r\n");
  EXPECT_TRUE(message.signatures.front().verifies);
  EXPECT_EQ(as_text(*message.content), kText);
  const std::string detached = make(Placing::detached);
  EXPECT_TRUE(looks_like_jws(as_bytes(detached)));
  EXPECT_TRUE(accepted(detached, &kContent));
  EXPECT_FALSE(accepted(detached));
}

TEST_P(Jws, AreNeverAcceptedWithAnyBitFlipped) {
  // Each of some 20,000 bits is a signature verified: the two fast kinds stand for all.
  const std::string type = GetParam();
  if (type == "rsa:2048" || type == "ec:p521") return;
  std::string text = make(Placing::attached);
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    const char before = text[bit / 8];
    text[bit / 8] = static_cast<char>(before ^ (1 << bit % 8));
    EXPECT_FALSE(accepted(text)) << "byte " << bit / 8 << ", bit " << bit % 8;
    text[bit / 8] = before;
  }
}

TEST_P(Jws, AreNotAcceptedWithAnotherKey) {
  const auto stranger = tests::MemoryKey::generate(GetParam());
  const std::string text = make(Placing::attached);
  EXPECT_TRUE(verified(text, nullptr, key_->public_key()).signatures.front().verifies);
  EXPECT_FALSE(verified(text, nullptr, stranger->public_key()).signatures.front().verifies);
}

INSTANTIATE_TEST_SUITE_P(Keys, Jws, ::testing::Values("rsa:2048", "ec:p256", "ec:p521", "ed25519"));

std::string with_header(std::string_view header) {
  return base64url(as_bytes(header)) + "." + base64url(as_bytes(kText)) + ".AAAA";
}

TEST(JwsHeaders, ThatAreHostileAreRefused) {
  for (const char* header :
       {"", "[]", "{}", "1", "{\"alg\":1}", "{\"alg\":\"ES256\",\"alg\":\"RS256\"}",
        "{\"alg\":\"ES256\"", "{\"alg\":\"ES256\"}}", "{\"alg\":\"ES256\",\"x5c\":[]}",
        "{\"alg\":\"ES256\",\"x5c\":\"AAAA\"}", "{\"alg\":\"ES256\",\"x5c\":[1]}",
        "{\"alg\":\"ES256\",\"x5c\":[\"AAAA\"]}",
        "{\"alg\":\"ES256\",\"a\":[[[[[[[[[[]]]]]]]]]]}"}) {
    const std::string text = with_header(header);
    EXPECT_EQ(error_of([&] { verified(text); }).kind(), Kind::malformed) << header;
  }
  const std::string deep = "{\"alg\":\"ES256\",\"a\":" + std::string(100'000, '[');
  EXPECT_EQ(error_of([&] { verified(with_header(deep)); }).kind(), Kind::malformed);
}

TEST(JwsHeaders, ThatWantWhatHsmithHasNotAreUnsupported) {
  for (const char* header :
       {"{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}", "{\"alg\":\"es256\"}",
        "{\"alg\":\"ES256\",\"crit\":[\"x\"],\"x\":1}", "{\"alg\":\"ES256\",\"b64\":false}"}) {
    const std::string text = with_header(header);
    EXPECT_EQ(error_of([&] { verified(text); }).kind(), Kind::unsupported) << header;
  }
}

TEST(JwsHeaders, ThatOfferAKeyOfTheirOwnAreNotBelieved) {
  const std::string text = with_header(
      "{\"alg\":\"ES256\",\"jwk\":{\"kty\":\"EC\"},\"jku\":\"https://example.org\",\"kid\":\"x\"}");
  const VerifiedMessage message = verified(text);
  EXPECT_FALSE(message.signatures.front().verifies);
  EXPECT_EQ(message.signatures.front().problem, "its certificate is not in the message");
}

TEST(JwsHeaders, MustGoWithTheKey) {
  const auto key = tests::MemoryKey::generate("ec:p384");
  const VerifiedMessage message =
      verified(with_header("{\"alg\":\"ES256\"}"), nullptr, key->public_key());
  EXPECT_THAT(message.signatures.front().problem, HasSubstr("ES256 does not go with"));
}

TEST(JwsTexts, OfAnotherShapeAreMalformed) {
  for (const char* text : {"", ".", "..", "a.b", "eyJhbGciOiJFUzI1NiJ9.AA", "eyJ.AAAA.AAAA.AAAA"}) {
    EXPECT_EQ(error_of([&] { verified(text); }).kind(), Kind::malformed) << text;
  }
  EXPECT_FALSE(looks_like_jws(as_bytes("eyJh.b")));
  EXPECT_FALSE(looks_like_jws(as_bytes("eyJh.b.c.d")));
  EXPECT_FALSE(looks_like_jws(as_bytes("eyJh.b .c")));
  EXPECT_FALSE(looks_like_jws(as_bytes("hello.b.c")));
}

}  // namespace
}  // namespace hsmith::cms
