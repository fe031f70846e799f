// Archival requests made, opened by the exchange key, and answered.
#include "src/recovery/submission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/files.h"
#include "src/ossl/check.h"
#include "src/recovery/cmc_message.h"
#include "src/recovery/cmc_write.h"
#include "src/recovery/envelope.h"
#include "src/recovery/private_key.h"
#include "src/x509/certificate.h"
#include "src/x509/request.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"
#include "tests/support/shared_data.h"

namespace hsmith::recovery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using tests::MemoryKey;

// A certificate of the key, signed by itself: what a recipient or an authority needs here.
ossl::Certificate certificate_of(EVP_PKEY* key, const char* name) {
  ossl::Certificate made(X509_new());
  X509_set_version(made.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 0x1234);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
  X509_NAME* subject = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(made.get(), subject);
  X509_set_pubkey(made.get(), key);
  X509_sign(made.get(), key, EVP_sha256());
  return x509::certificate_from_der(x509::certificate_der(made.get()), name);
}

class SubmissionTest : public ::testing::Test {
 protected:
  Bytes request_by(const std::shared_ptr<MemoryKey>& key) {
    return x509::make_request({}, key, ossl::choose_scheme(key->public_key(), "", "")).der;
  }
  Bytes cmc_by(const std::shared_ptr<MemoryKey>& key) {
    const Bytes request = request_by(key);
    return make_cmc_request({request, key->private_key(), exchange_certificate_.get(), "User",
                             ClientInfo{"", "machine", "user", "process"}},
                            key);
  }
  ossl::PKey open(const CmcRequest& request) {
    return submitted_key(request, request.archived_key->envelope.data.recipients.at(0), *exchange_,
                         "x");
  }

  // One for all tests: RSA keys take long to make.
  static std::shared_ptr<MemoryKey> common_key() {
    static const auto key = MemoryKey::generate("rsa:2048");
    return key;
  }

  std::shared_ptr<MemoryKey> exchange_ = common_key();
  ossl::Certificate exchange_certificate_ = certificate_of(exchange_->private_key(), "xchg");
};

TEST_F(SubmissionTest, TheKeyThatWasSentAlongComesOut) {
  for (const char* type : {"rsa:2048", "ec:p256", "ec:p384"}) {
    const auto key = MemoryKey::generate(type);
    const CmcRequest request = read_submission(cmc_by(key), "x");
    ASSERT_TRUE(request.archived_key);
    EXPECT_TRUE(cms::names(request.archived_key->envelope.data.recipients.at(0).name,
                           exchange_certificate_.get()));
    EXPECT_EQ(pair_problem(open(request).get(), key->public_key()), "") << type;
  }
}

TEST_F(SubmissionTest, TheRequestHasTheShapeOfWindows) {
  const auto key = MemoryKey::generate("rsa:2048");
  const Bytes made = cmc_by(key);
  const CmcMessage message = read_cmc_message(made, "x");
  EXPECT_EQ(message.content_type, kPkiData);
  EXPECT_EQ(message.key_identifier, ossl::key_identifier(key->public_key()));
  EXPECT_TRUE(message.certificates.empty());
  ASSERT_TRUE(message.unsigned_attributes);
  EXPECT_TRUE(attribute_value(*message.unsigned_attributes, kArchivedKey, "x"));
  const CmcRequest request = read_cmc_request(made, "x");
  EXPECT_THAT(request.attributes, ElementsAre(std::string(kEncryptedKeyHash)));
  EXPECT_EQ(request.registration, "CertificateTemplate=User&");
  ASSERT_TRUE(request.client);
  EXPECT_EQ(request.client->id, "03e9");
  EXPECT_EQ(request.client->machine, "machine");
  EXPECT_EQ(request.client->user, "user");
  EXPECT_EQ(request.client->process, "process");
  EXPECT_EQ(request.archived_key->hash.size(), 32U);
  EXPECT_STREQ(request.archived_key->envelope.data.cipher.cipher->name, "aes-256-cbc");
  EXPECT_EQ(ability_of(request.archived_key->envelope.data.recipients.at(0)), "pkcs1");
}

TEST_F(SubmissionTest, ClientInfoAmongThePkcs10sAttributesIsRead) {
  const auto key = MemoryKey::generate("rsa:2048");
  const ossl::Request request = x509::parse_request(request_by(key), "x");
  const std::string info("\x30\x0b\x02\x01\x09\x0c\x01m\x0c\x01u\x0c\x00", 13);
  ASSERT_EQ(X509_REQ_add1_attr_by_txt(
                request.get(), std::string(kClientInfo).c_str(), V_ASN1_SEQUENCE,
                reinterpret_cast<const unsigned char*>(info.data()), static_cast<int>(info.size())),
            1);
  ASSERT_GT(X509_REQ_sign(request.get(), key->private_key(), EVP_sha256()), 0);
  const Bytes signed_again = ossl::der_of(i2d_X509_REQ, request.get());
  const CmcRequest read = read_cmc_request(
      make_cmc_request({signed_again, key->private_key(), exchange_certificate_.get(), "", {}},
                       key),
      "x");
  ASSERT_TRUE(read.client);
  EXPECT_EQ(read.client->id, "09");
  EXPECT_EQ(read.client->machine, "m");
  EXPECT_EQ(read.client->user, "u");
}

TEST_F(SubmissionTest, AnyFlippedBitIsRefusedBeforeTheExchangeKeyIsUsed) {
  const auto key = MemoryKey::generate("rsa:2048");
  const Bytes good = cmc_by(key);
  std::size_t taken = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; bit += 37) {
    Bytes bent = good;
    bent[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    try {
      const CmcRequest request = read_submission(bent, "x");
      ++taken;  // the name of the algorithm alone: it means the same
      EXPECT_EQ(pair_problem(open(request).get(), key->public_key()), "");
    } catch (const Error&) {
    }
  }
  EXPECT_LE(taken, 1U);
}

TEST_F(SubmissionTest, AnotherExchangeKeyGetsTheSameAnswerAsAnotherPlaintext) {
  const CmcRequest request = read_submission(cmc_by(MemoryKey::generate("rsa:2048")), "x");
  exchange_ = MemoryKey::generate("rsa:2048");
  const Error error = tests::error_of([&] { open(request); });
  EXPECT_EQ(error.kind(), Kind::mismatch);
  EXPECT_THAT(error.what(), HasSubstr("0x8009400C"));
}

TEST_F(SubmissionTest, TheResponseNamesTheCertificateAndTheArchivedKey) {
  for (const char* type : {"rsa:2048", "ec:p384"}) {
    const auto authority = MemoryKey::generate(type);
    const auto certificate = certificate_of(authority->private_key(), "authority");
    const Bytes hash(32, 7);
    const Bytes made =
        make_cmc_response({certificate.get(), certificate.get(), {}, hash}, authority);
    const CmcResponse response = read_cmc_response(made, "x");
    EXPECT_EQ(response.status, 0);
    EXPECT_EQ(response.status_text, "Issued");
    EXPECT_EQ(response.archived_key_hash, hash);
    EXPECT_TRUE(x509::same_certificate(response.issued.get(), certificate.get()));
    EXPECT_TRUE(x509::same_certificate(response.authority.get(), certificate.get()));
  }
}

TEST_F(SubmissionTest, AnEd25519AuthoritySignsNoResponse) {
  const auto authority = MemoryKey::generate("ed25519");
  const auto certificate = certificate_of(exchange_->private_key(), "authority");
  const Error error = tests::error_of([&] {
    make_cmc_response({certificate.get(), certificate.get(), {}, Bytes(32, 7)}, authority);
  });
  EXPECT_EQ(error.kind(), Kind::unsupported);
}

TEST_F(SubmissionTest, ARequestWithoutAKeyIsNamedWithTheCodeOfWindows) {
  const Bytes request = request_by(MemoryKey::generate("rsa:2048"));
  const Error error = tests::error_of([&] { read_submission(request, "\"x\""); });
  EXPECT_EQ(error.kind(), Kind::refused);
  EXPECT_THAT(error.what(), HasSubstr("0x80094804"));
}

// A request that Windows made, with the exchange key published beside it (data/ejbca-archival of
// the shared data: request.der, exchange.der).
TEST_F(SubmissionTest, TheKeyInARequestOfWindowsComesOut) {
  const auto folder = tests::shared_data("data/ejbca-archival");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  exchange_ = std::make_shared<MemoryKey>(
      private_key_from_der(read_file((folder / "exchange.der").string()), "the exchange key"));
  const CmcRequest request =
      read_submission(read_file((folder / "request.der").string()), "the request");
  EXPECT_EQ(hex(ossl::digest(ossl::digest_named("sha1"), request.archived_key->content_info)),
            "74eaf8108c8bc6e2fba7289975b440ce293d037f");
  const ossl::PKey key = open(request);
  EXPECT_EQ(hex(ossl::digest(ossl::digest_named("sha256"), ossl::spki_of(key.get()))),
            "d395339d74b53c0368a82c05d2cce2fca10a1ce86ed211acb61200b1b17210de");
}

}  // namespace
}  // namespace hsmith::recovery
