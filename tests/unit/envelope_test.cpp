#include "src/recovery/envelope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "src/recovery/agents.h"
#include "src/recovery/archive.h"
#include "tests/support/certificates_fixture.h"
#include "tests/support/error_of.h"

namespace hsmith::recovery {
namespace {

class EnvelopeTest : public ::testing::Test {
 protected:
  EnvelopeTest() {
    for (const char* name : {"CN=One", "CN=Two"}) {
      keys_.push_back(tests::MemoryKey::generate("rsa:2048"));
      tests::CertificateSpec spec;
      spec.subject = name;
      certificates_.push_back(tests::certify(spec, keys_.back(), nullptr));
    }
  }

  Bytes envelope(const char* ability) {
    const std::vector<EnvelopeTo> to{{certificates_[0].get(), ability},
                                     {certificates_[1].get(), ability}};
    return make_envelope(as_bytes(kText), to);
  }
  Secret open(const Envelope& envelope, std::size_t index) {
    for (const cms::Recipient& recipient : envelope.data.recipients) {
      if (cms::names(recipient.name, certificates_[index].get()))
        return open_envelope(envelope, recipient, *keys_[index], "x");
    }
    return {};
  }

  static constexpr std::string_view kText = "a key that is not one";
  std::vector<std::shared_ptr<tests::MemoryKey>> keys_;
  std::vector<ossl::Certificate> certificates_;
};

TEST_F(EnvelopeTest, EachRecipientOpensItInEachWayOfEncrypting) {
  for (const char* ability : {kOaepSha256, kOaepSha1, kPkcs1}) {
    const Envelope read = read_envelope(envelope(ability), "x");
    ASSERT_EQ(read.data.recipients.size(), 2U);
    for (const std::size_t index : {0U, 1U}) {
      EXPECT_EQ(ability_of(read.data.recipients[index]), ability);
      EXPECT_EQ(as_text(open(read, index).reveal()), kText);
    }
  }
}

TEST_F(EnvelopeTest, EveryEnvelopeHasAKeyAndAnIvOfItsOwn) {
  std::set<Bytes> ivs, contents, keys;
  for (int i = 0; i < 50; ++i) {
    const std::vector<EnvelopeTo> to{{certificates_[0].get(), kOaepSha256}};
    const Envelope read = read_envelope(make_envelope(as_bytes(kText), to), "x");
    const cms::Recipient& only = read.data.recipients.front();
    ivs.insert(read.data.cipher.iv);
    contents.insert(cms::octets_of(read.data.content));
    keys.insert(to_bytes(keys_[0]->decrypt_key(only.rsa, only.encrypted_key, 32).key.reveal()));
  }
  EXPECT_EQ(ivs.size(), 50U);
  EXPECT_EQ(contents.size(), 50U);
  EXPECT_EQ(keys.size(), 50U);
}

TEST_F(EnvelopeTest, AnAgentIsTriedOutAndAnotherKeyIsFoundOut) {
  EXPECT_THAT(probe_agent(certificates_[0].get(), *keys_[0]),
              ::testing::ElementsAre(kOaepSha256, kOaepSha1, kPkcs1));
  EXPECT_EQ(tests::error_of([&] { probe_agent(certificates_[0].get(), *keys_[1]); }).kind(),
            Kind::mismatch);
}

TEST_F(EnvelopeTest, ACutEnvelopeIsMalformedWhereverItIsCut) {
  const Bytes good = envelope(kPkcs1);
  for (std::size_t size = 0; size < good.size(); size += 23) {
    const Bytes cut(good.begin(), good.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_EQ(tests::error_of([&] { read_envelope(cut, "x"); }).kind(), Kind::malformed) << size;
  }
}

}  // namespace
}  // namespace hsmith::recovery
