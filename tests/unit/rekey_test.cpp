#include "src/recovery/rekey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "src/cms/recipient_infos.h"
#include "src/recovery/agents.h"
#include "src/recovery/envelope.h"
#include "src/recovery/private_key_blob.h"
#include "src/recovery/signed_file.h"
#include "src/x509/certificate.h"
#include "tests/support/certificates_fixture.h"
#include "tests/support/error_of.h"

namespace hsmith::recovery {
namespace {

ossl::PKey make_key(const std::string& type) {
  if (type.starts_with("rsa")) return ossl::PKey(EVP_RSA_gen(2048));
  ossl::PKey key(EVP_EC_gen(type.substr(0, type.find(' ')).c_str()));
  if (type.ends_with("without point"))
    EVP_PKEY_set_int_param(key.get(), OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, 0);
  if (type.ends_with("compressed")) {
    EVP_PKEY_set_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                   "compressed");
  }
  return key;
}

class RekeyTest : public ::testing::Test {
 protected:
  RekeyTest() {
    for (const char* name : {"CN=Old", "CN=New"}) {
      keys_.push_back(tests::MemoryKey::generate("rsa:2048"));
      tests::CertificateSpec spec;
      spec.subject = name;
      certificates_.push_back(tests::certify(spec, keys_.back(), nullptr));
    }
    exported_.archive = "x";
    exported_.from = ossl::share(certificates_[0].get());
    exported_.to.push_back({ossl::share(certificates_[1].get()), kOaepSha1});
    // A challenge is a number that is encrypted as content keys are.
    exported_.challenge = {kPkcs1, key_in(envelope(as_bytes("content")))};
  }

  Envelope envelope(ByteView plaintext) {
    const std::vector<EnvelopeTo> to{{certificates_[0].get(), kPkcs1}};
    return read_envelope(make_envelope(plaintext, to), "x");
  }
  static Bytes key_in(const Envelope& envelope) {
    return envelope.data.recipients.front().encrypted_key;
  }
  void export_key(EVP_PKEY* key) {
    const Secret plaintext = archived_form(key);
    const Envelope made = envelope(plaintext.reveal());
    const Bytes content = cms::octets_of(made.data.content);
    ExportedKey exported;
    exported.id = static_cast<std::int64_t>(exported_.keys.size()) + 1;
    exported.content = sha256_of(content);
    exported.content_key = {kPkcs1, key_in(made)};
    exported.cipher = cms::der_cipher(made.data.cipher);
    exported.first_block = to_bytes(ByteView(content).first(16));
    exported.openings = archived_openings(key, 16);
    exported_.keys.push_back(std::move(exported));
  }
  std::size_t good(const RekeyAnswer& answer) {
    std::size_t count = 0;
    check_wrapped(exported_, answer, certificates_[1].get(), *keys_[1], count);
    return count;
  }

  std::vector<std::shared_ptr<tests::MemoryKey>> keys_;
  std::vector<ossl::Certificate> certificates_;
  RekeyExport exported_;
};

TEST_F(RekeyTest, ContentKeysOfEveryTypeOfKeyReachTheNewAgent) {
  for (const char* type : {"rsa", "P-256", "P-384", "P-521", "P-256 without point",
                           "P-256 compressed", "P-521 compressed"}) {
    export_key(make_key(type).get());
  }
  const Wrapping wrapping = wrap_to(exported_, {1, 2, 3}, {0}, *keys_[0]);
  EXPECT_TRUE(wrapping.failures.empty());
  ASSERT_EQ(wrapping.answer.keys.size(), 7U);
  EXPECT_EQ(good(wrapping.answer), 7U);
  for (std::size_t i = 0; i < 7; ++i) {
    const EncryptedKey& wrapped = wrapping.answer.keys[i].content_key;
    const auto before =
        keys_[0]->decrypt_key(encryption_of(kPkcs1), exported_.keys[i].content_key.encrypted, 32);
    const auto after = keys_[1]->decrypt_key(encryption_of(kOaepSha1), wrapped.encrypted, 32);
    EXPECT_TRUE(before.good && after.good && equal(before.key.reveal(), after.key.reveal()));
  }
}

TEST_F(RekeyTest, AContentKeyThatDoesNotOpenTheContentGoesToNobody) {
  export_key(make_key("rsa").get());
  export_key(make_key("rsa").get());
  exported_.keys[0].first_block[3] ^= 1;
  const Wrapping wrapping = wrap_to(exported_, {}, {0}, *keys_[0]);
  ASSERT_EQ(wrapping.failures.size(), 1U);
  EXPECT_EQ(wrapping.failures[0].id, 1);
  ASSERT_EQ(wrapping.answer.keys.size(), 1U);
  EXPECT_EQ(wrapping.answer.keys[0].id, 2);
}

TEST_F(RekeyTest, AnotherAgentsKeyWrapsNothing) {
  export_key(make_key("rsa").get());
  EXPECT_EQ(tests::error_of([&] { wrap_to(exported_, {}, {0}, *keys_[1]); }).kind(),
            Kind::mismatch);
}

TEST_F(RekeyTest, AKeyThatWasWrappedWronglyIsFound) {
  export_key(make_key("rsa").get());
  Wrapping wrapping = wrap_to(exported_, {}, {0}, *keys_[0]);
  wrapping.answer.keys[0].content_key.encrypted[200] ^= 1;
  EXPECT_EQ(good(wrapping.answer), 0U);
}

TEST_F(RekeyTest, WhatIsGivenOutOfAKeyIsTheSameForAllKeysOfItsType) {
  for (const char* type : {"rsa", "P-256", "P-384", "P-521"}) {
    const ossl::PKey one = make_key(type);
    const ossl::PKey other = make_key(type);
    const auto openings = archived_openings(one.get(), 16);
    EXPECT_EQ(openings, archived_openings(other.get(), 16)) << type;
    const Secret form = archived_form(other.get());
    EXPECT_EQ(to_bytes(form.reveal().first(16)), openings.front()) << type;
  }
}

TEST_F(RekeyTest, TheMacIsUnderTheNumberOfTheChallenge) {
  export_key(make_key("rsa").get());
  const Wrapping wrapping = wrap_to(exported_, {}, {0}, *keys_[0]);
  const auto number =
      keys_[0]->decrypt_key(encryption_of(kPkcs1), exported_.challenge.encrypted, kChallenge);
  EXPECT_EQ(wrapping.mac, challenge_mac(number.key, rekey_answer_text(wrapping.answer)));
}

TEST_F(RekeyTest, FilesComeBackAsTheyWereWritten) {
  export_key(make_key("P-256").get());
  const std::string text = rekey_export_text(exported_);
  EXPECT_EQ(rekey_export_text(read_rekey_export(as_bytes(text), "x")), text);
  const std::string answer = rekey_answer_text(wrap_to(exported_, {7, 7}, {0}, *keys_[0]).answer);
  EXPECT_EQ(rekey_answer_text(read_rekey_answer(as_bytes(answer), "x")), answer);
  const Bytes file = write_agent_file(answer, {Bytes(32, 9)}, nullptr);
  EXPECT_EQ(read_agent_file(file, "x").text, answer);
}

TEST_F(RekeyTest, FilesThatAreCutOrBentAreMalformedAndNothingElse) {
  export_key(make_key("P-256").get());
  const std::string text = rekey_export_text(exported_);
  for (std::size_t at = 0; at < text.size(); at += 13) {
    std::string bent = text;
    bent[at] = static_cast<char>(bent[at] ^ 0x41);
    for (const std::string& input : {text.substr(0, at), bent}) {
      try {
        read_rekey_export(as_bytes(input), "x");
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Kind::malformed) << input.substr(0, 200);
      }
    }
    EXPECT_EQ(tests::error_of([&] { read_rekey_answer(as_bytes(bent), "x"); }).kind(),
              Kind::malformed);
  }
}

TEST_F(RekeyTest, MoreRecipientsLeaveTheContentAndTheOldOnesAsTheyAre) {
  const std::vector<EnvelopeTo> to{{certificates_[0].get(), kOaepSha256}};
  const Bytes before = make_envelope(as_bytes("a key"), to);
  const Envelope old = read_envelope(before, "x");
  const auto key = keys_[0]->decrypt_key(old.data.recipients[0].rsa, key_in(old), 32);
  const Bytes after = cms::with_recipients(
      before, {cms::transport_info(certificates_[1].get(), encryption_of(kOaepSha1), key.key)},
      "x");
  const Envelope now = read_envelope(after, "x");
  ASSERT_EQ(now.data.recipients.size(), 2U);
  EXPECT_EQ(cms::octets_of(now.data.content), cms::octets_of(old.data.content));
  for (const cms::Recipient& recipient : now.data.recipients) {
    const std::size_t whose = cms::names(recipient.name, certificates_[0].get()) ? 0 : 1;
    EXPECT_EQ(as_text(open_envelope(now, recipient, *keys_[whose], "x").reveal()), "a key");
    if (whose == 0) {
      EXPECT_EQ(recipient.encrypted_key, key_in(old));
    }
  }
}

}  // namespace
}  // namespace hsmith::recovery
