// A real exchange between Windows machines (shared data: data/ms-archival, its README).
#include "src/recovery/cmc.h"

#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/files.h"
#include "src/ossl/algorithms.h"
#include "src/x509/certificate.h"
#include "src/x509/request.h"
#include "tests/support/error_of.h"
#include "tests/support/shared_data.h"

namespace hsmith::recovery {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

class CmcTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto folder = tests::shared_data("data/ms-archival");
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
    request_ = read_file((folder / "ms-cmc-request.der").string());
    response_ = read_file((folder / "ms-cmc-response.der").string());
  }

  Bytes request_;
  Bytes response_;
};

std::string sha1(ByteView data) { return hex(ossl::digest(ossl::digest_named("sha1"), data)); }

TEST_F(CmcTest, TheRequestOfWindowsVerifiesInEachOfItsBindings) {
  EXPECT_TRUE(is_cmc_request(request_));
  EXPECT_FALSE(is_cmc_response(request_));
  const CmcRequest request = read_cmc_request(request_, "the request");
  EXPECT_EQ(request.message_digest, "5e1f0ff028a4fe910dc22f1a18787e2e107f1739");
  ASSERT_TRUE(request.archived_key);
  EXPECT_EQ(hex(request.archived_key->hash), "9231e6c0b87445190ea2ca934b2807ff7993c59f");
  EXPECT_EQ(sha1(request.archived_key->content_info), "9231e6c0b87445190ea2ca934b2807ff7993c59f");
  const auto facts = x509::request_facts(request.request.get());
  EXPECT_TRUE(x509::request_signature_ok(request.request.get()));
  EXPECT_EQ(facts.key_type, "rsa:1024");
}

TEST_F(CmcTest, EveryFieldOfTheRequestIsShown) {
  const CmcRequest request = read_cmc_request(request_, "the request");
  std::vector<std::string> names;
  for (const CmcControl& control : request.controls) names.push_back(control.name);
  EXPECT_THAT(names, ElementsAre("addExtensions", "addAttributes", "regInfo"));
  EXPECT_THAT(request.added_key_usage, ElementsAre("keyEncipherment"));
  EXPECT_THAT(request.added_purposes, Contains("1.3.6.1.4.1.311.10.3.4"));
  EXPECT_THAT(request.extensions, Contains("1.3.6.1.4.1.311.21.7"));
  EXPECT_THAT(request.registration, HasSubstr("CertificateTemplate=ArchiveTestBasicEFS"));
  EXPECT_THAT(request.attributes, Contains("1.3.6.1.4.1.311.21.21"));
  ASSERT_TRUE(request.client);
  EXPECT_EQ(request.client->id, "01");
  EXPECT_EQ(request.client->machine, "dcross-stress.contoso.com");
  EXPECT_EQ(request.client->user, "CONTOSO0\\avibm");
  EXPECT_EQ(request.client->process, "certreq");
  const cms::EnvelopedData& envelope = request.archived_key->envelope.data;
  ASSERT_EQ(envelope.recipients.size(), 1U);
  EXPECT_EQ(ability_of(envelope.recipients[0]), "pkcs1");
  EXPECT_STREQ(envelope.cipher.cipher->name, "des-ede3-cbc");
  EXPECT_EQ(cms::octets_size(envelope.content), 600U);
}

TEST_F(CmcTest, TheResponseOfWindowsVerifiesInEachOfItsBindings) {
  EXPECT_TRUE(is_cmc_response(response_));
  const CmcResponse response = read_cmc_response(response_, "the response");
  EXPECT_EQ(response.message_digest, "17ceeaa968cdd0a92dfc7e9aa174f87755ad8a87");
  EXPECT_EQ(hex(response.issued_hash), "de73d68a50323310a01eeddf66188213dc9cd490");
  ASSERT_TRUE(response.issued);
  EXPECT_EQ(sha1(x509::certificate_der(response.issued.get())),
            "de73d68a50323310a01eeddf66188213dc9cd490");
  EXPECT_EQ(response.certificates.size(), 2U);
  EXPECT_EQ(response.status, 0);
  EXPECT_EQ(response.status_text, "Issued");
  EXPECT_THAT(response.signer, HasSubstr("TestEnrollment"));
}

TEST_F(CmcTest, TheResponseBelongsToTheRequest) {
  const CmcRequest request = read_cmc_request(request_, "the request");
  const CmcResponse response = read_cmc_response(response_, "the response");
  EXPECT_EQ(response.archived_key_hash, request.archived_key->hash);
  EXPECT_TRUE(ossl::same_public_key(x509::public_key_of(response.issued.get()),
                                    x509::public_key_of(request.request.get())));
}

// Every bit where HSMITH_EVERY_BIT is set, else each 11th: a run over all takes a minute.
std::size_t stride() { return std::getenv("HSMITH_EVERY_BIT") != nullptr ? 1 : 11; }

// What a message still says when a bit of it is flipped and it is accepted all the same. The one
// place where that may be is the name of the signature algorithm: rsaEncryption and sha1WithRSA
// mean the same there.
template <typename Read>
void flip_every_bit(const Bytes& good, const Read& read, std::size_t most_accepted) {
  std::size_t accepted = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; bit += stride()) {
    Bytes bent = good;
    bent[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    try {
      read(bent);
      ++accepted;
      EXPECT_LE(accepted, most_accepted) << "bit " << bit % 8 << " of byte " << bit / 8;
    } catch (const Error&) {  // as it shall be
    }
  }
}

TEST_F(CmcTest, AnyFlippedBitOfTheRequestIsNoticed) {
  flip_every_bit(
      request_, [](const Bytes& bent) { read_cmc_request(bent, "x"); }, 1);
}

TEST_F(CmcTest, AnyFlippedBitOfTheResponseIsNoticed) {
  flip_every_bit(
      response_, [](const Bytes& bent) { read_cmc_response(bent, "x"); }, 1);
}

TEST_F(CmcTest, ACutMessageIsMalformedWhereverItIsCut) {
  for (std::size_t size = 0; size < request_.size(); size += 61) {
    const Bytes cut(request_.begin(), request_.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_THROW(read_cmc_request(cut, "x"), Error) << size;
  }
}

TEST_F(CmcTest, AnEnvelopeThatWasChangedIsNamedWithTheCodeOfWindows) {
  Bytes bent = request_;
  bent[bent.size() - 20] ^= 1;  // in the encrypted content
  const Error error = tests::error_of([&] { read_cmc_request(bent, "\"x\""); });
  EXPECT_EQ(error.kind(), Kind::mismatch);
  EXPECT_THAT(error.what(), HasSubstr("0x8009400C"));
}

}  // namespace
}  // namespace hsmith::recovery
