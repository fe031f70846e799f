#include <gmock/gmock.h>
#include <openssl/cms.h>
#include <openssl/rsa.h>

#include "src/base/files.h"
#include "src/cms/decrypt.h"
#include "src/cms/der.h"
#include "src/cms/encrypt.h"
#include "src/ossl/check.h"
#include "tests/support/certificates_fixture.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace hsmith::cms {
namespace {

using testing::HasSubstr;
using tests::error_of;
using tests::Identity;
using tests::kNow;
using tests::MemoryKey;

constexpr const char* kInput = "message";

Identity identity(std::string_view type) {
  auto key = MemoryKey::generate(type);
  tests::CertificateSpec spec;
  spec.subject = "CN=" + std::string(type);
  spec.key_usage = ossl::algorithm_of(key->public_key()) == ossl::KeyAlgorithm::rsa
                       ? "keyEncipherment"
                       : "keyAgreement";
  static const Identity root = tests::root();
  return {key, certify(spec, key, &root)};
}

Content content_of(ByteView bytes) {
  return [bytes](const auto& take) { take(bytes); };
}

Bytes encrypted(std::span<const ossl::Certificate> recipients, std::string_view cipher,
                ByteView content, ossl::RsaPadding padding = ossl::RsaPadding::oaep) {
  const tests::TemporaryFolder folder;
  const Encryption encryption{recipients, &cipher_to_encrypt_with(cipher), padding};
  write_file(folder / "m", kPublicFile, Replace::no,
             [&](NewFile& file) { encrypt(encryption, content_of(content), file); });
  return read_file(folder / "m", 1u << 30);
}

Bytes encrypted(const Identity& to, std::string_view cipher, ByteView content,
                ossl::RsaPadding padding = ossl::RsaPadding::oaep) {
  std::vector<ossl::Certificate> recipients;
  recipients.push_back(ossl::share(to.certificate.get()));
  return encrypted(recipients, cipher, content, padding);
}

// As the recipient that the certificate names, and no other.
Bytes decrypted(ByteView ber, const Identity& who) {
  const EnvelopedData message = read_enveloped_data(read_content_info(ber, kInput), kInput);
  for (const Recipient& recipient : message.recipients) {
    const bool by_name =
        recipient.name.issuer.empty() ? !recipient.name.key_identifier.empty() : true;
    if (by_name && names(recipient.name, who.certificate.get()))
      return decrypt(message, recipient, *who.key, kInput);
  }
  throw Error(Kind::not_found, "no recipient");
}

Bytes decrypted_by_openssl(ByteView ber, const Identity& who) {
  const Cms cms = decode(ber, kInput);
  const ossl::Bio out(BIO_new(BIO_s_mem()));
  ossl::check(CMS_decrypt(cms.get(), who.key->private_key(), who.certificate.get(), nullptr,
                          out.get(), 0) == 1,
              "decrypt by OpenSSL");
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return to_bytes(as_bytes({data, static_cast<std::size_t>(size)}));
}

using RsaSettings = std::function<void(EVP_PKEY_CTX*)>;

Bytes encrypted_by_openssl(const Identity& to, const EVP_CIPHER* cipher, ByteView content,
                           unsigned flags = 0, const RsaSettings& settings = {}) {
  const ossl::Bio in(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  const Cms cms(CMS_encrypt(nullptr, nullptr, cipher, CMS_PARTIAL | CMS_BINARY));
  CMS_RecipientInfo* info = CMS_add1_recipient_cert(cms.get(), to.certificate.get(),
                                                    flags | (settings ? CMS_KEY_PARAM : 0u));
  ossl::check(info != nullptr, "add a recipient");
  if (settings) settings(CMS_RecipientInfo_get0_pkey_ctx(info));
  ossl::check(CMS_final(cms.get(), in.get(), nullptr, CMS_BINARY) == 1, "encrypt by OpenSSL");
  return ossl::der_of(i2d_CMS_ContentInfo, cms.get());
}

const Identity& rsa() {
  static const Identity made = identity("rsa:2048");
  return made;
}
const Identity& p256() {
  static const Identity made = identity("ec:p256");
  return made;
}

TEST(CmsEncryption, IsReadBackByUsAndByOpensslForEveryKeyCipherAndLength) {
  for (const char* type : {"rsa:2048", "rsa:3072", "ec:p256", "ec:p384", "ec:p521"}) {
    const Identity who = identity(type);
    for (const char* cipher : {"aes-256-cbc", "aes-256-gcm"}) {
      for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 65535u, 65536u, 65537u, 200000u}) {
        const Bytes content(size, 0x5a);
        const Bytes message = encrypted(who, cipher, content);
        EXPECT_TRUE(decrypted(message, who) == content) << type << cipher << size;
        EXPECT_TRUE(decrypted_by_openssl(message, who) == content) << type << cipher << size;
      }
    }
  }
}

TEST(CmsEncryption, ByPkcs1IsReadBackByUsAndByOpenssl) {
  const Bytes content(1000, 1);
  const Bytes message = encrypted(rsa(), "aes-256-cbc", content, ossl::RsaPadding::pkcs1);
  EXPECT_TRUE(decrypted(message, rsa()) == content);
  EXPECT_TRUE(decrypted_by_openssl(message, rsa()) == content);
}

TEST(CmsEncryption, OpensOnlyToItsRecipientsAndToEachOfThem) {
  const Identity a = identity("rsa:2048"), b = identity("ec:p384"), c = identity("rsa:2048");
  std::vector<ossl::Certificate> recipients;
  recipients.push_back(ossl::share(a.certificate.get()));
  recipients.push_back(ossl::share(b.certificate.get()));
  const Bytes content(10, 7);
  const Bytes message = encrypted(recipients, "aes-256-gcm", content);
  EXPECT_TRUE(decrypted(message, a) == content && decrypted(message, b) == content);
  EXPECT_EQ(error_of([&] { decrypted(message, c); }).kind(), Kind::not_found);
}

TEST(CmsEncryption, OfOpensslIsDecryptedWithEveryCipherThatIsInTheField) {
  const Bytes content(1000, 3);
  for (const Identity* who : {&rsa(), &p256()}) {
    for (const EVP_CIPHER* cipher :
         {EVP_aes_128_cbc(), EVP_aes_192_cbc(), EVP_aes_256_cbc(), EVP_aes_128_gcm(),
          EVP_aes_192_gcm(), EVP_aes_256_gcm(), EVP_des_ede3_cbc()}) {
      for (const unsigned flags : {0u, static_cast<unsigned>(CMS_USE_KEYID)}) {
        const Bytes message = encrypted_by_openssl(*who, cipher, content, flags);
        EXPECT_TRUE(decrypted(message, *who) == content) << EVP_CIPHER_get0_name(cipher);
      }
    }
  }
}

TEST(CmsEncryption, OfOpensslIsDecryptedWithEveryPaddingAndDerivation) {
  const Bytes content(100, 3);
  for (const EVP_MD* digest : {EVP_sha1(), EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
    for (const EVP_MD* mgf1 : {EVP_sha1(), EVP_sha512()}) {
      const Bytes message =
          encrypted_by_openssl(rsa(), EVP_aes_256_cbc(), content, 0, [&](EVP_PKEY_CTX* context) {
            EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING);
            EVP_PKEY_CTX_set_rsa_oaep_md(context, digest);
            EVP_PKEY_CTX_set_rsa_mgf1_md(context, mgf1);
            void* label = OPENSSL_memdup("label", 5);
            EVP_PKEY_CTX_set0_rsa_oaep_label(context, label, 5);
          });
      EXPECT_TRUE(decrypted(message, rsa()) == content) << EVP_MD_get0_name(digest);
    }
    const Bytes message = encrypted_by_openssl(
        p256(), EVP_aes_256_cbc(), content, 0,
        [&](EVP_PKEY_CTX* context) { EVP_PKEY_CTX_set_ecdh_kdf_md(context, digest); });
    EXPECT_TRUE(decrypted(message, p256()) == content) << EVP_MD_get0_name(digest);
  }
}

// Every bit of the message, one at a time.
void expect_no_flipped_bit_is_accepted(const Identity& who) {
  const Bytes content = to_bytes(as_bytes("attack at dawn"));
  Bytes message = encrypted(who, "aes-256-gcm", content);
  ASSERT_TRUE(decrypted(message, who) == content);
  for (std::size_t bit = 0; bit < 8 * message.size(); ++bit) {
    message[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    EXPECT_ANY_THROW(decrypted(message, who)) << "byte " << bit / 8 << " bit " << bit % 8;
    message[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
  }
}

TEST(CmsEncryption, ThatIsAuthenticatedIsRefusedWithAnyBitFlippedRsa) {
  expect_no_flipped_bit_is_accepted(rsa());
}

TEST(CmsEncryption, ThatIsAuthenticatedIsRefusedWithAnyBitFlippedEcdh) {
  expect_no_flipped_bit_is_accepted(p256());
}

TEST(CmsEncryption, WithAnyBitFlippedIsAnotherContentOnlyWhereItIsNotAuthenticated) {
  const Bytes content(100, 0x41);
  Bytes message = encrypted(p256(), "aes-256-cbc", content);
  std::size_t changed = 0;
  for (std::size_t bit = 0; bit < 8 * message.size(); ++bit) {
    message[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    try {
      if (decrypted(message, p256()) != content) {
        ++changed;
        EXPECT_FALSE(read_enveloped_data(read_content_info(message, kInput), kInput)
                         .cipher.cipher->authenticated);
      }
    } catch (const Error&) {
    }
    message[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
  }
  EXPECT_GT(changed, 500u);  // what CBC is like: the reason for the notice
}

TEST(CmsEncryption, EveryFailedDecryptionSaysTheSame) {
  const Bytes content(100, 9);
  Bytes message = encrypted(rsa(), "aes-256-gcm", content, ossl::RsaPadding::pkcs1);
  const auto reason = [&](std::size_t at) {
    Bytes changed = message;
    changed[at] ^= 1;
    const Error error = error_of([&] { decrypted(changed, rsa()); });
    EXPECT_EQ(error.kind(), Kind::decryption_failed);
    return std::string(error.what());
  };
  const EnvelopedData read = read_enveloped_data(read_content_info(message, kInput), kInput);
  const auto at = [&](ByteView part) {
    return static_cast<std::size_t>(
        std::search(message.begin(), message.end(), part.begin(), part.end()) - message.begin());
  };
  const std::string first = reason(at(read.recipients[0].encrypted_key) + 100);
  EXPECT_EQ(reason(at(read.content.content) + 10), first);
  EXPECT_EQ(reason(at(read.tag)), first);
}

// A message by parts, to be made wrong.
struct Parts {
  Bytes cipher = der(kSequence, {der_oid(NID_aes_256_cbc), der(kOctetString, {Bytes(16, 1)})});
  Bytes algorithm = der(kSequence, {der_oid(NID_rsaEncryption), der(kNull, {})});
  Bytes content = der(context_tag(0), {Bytes(32, 2)});
  Bytes recipients;  // instead of one
  int type = NID_pkcs7_enveloped;
  Bytes tail;

  Bytes message() const {
    const Bytes zero = der(kInteger, {Bytes(1, 0)});
    const Bytes name = der(kSequence, {der(kSequence, {}), der(kInteger, {Bytes(1, 5)})});
    const Bytes one = der(kSequence, {zero, name, algorithm, der(kOctetString, {Bytes(256, 3)})});
    const Bytes info = der(kSequence, {der_oid(NID_pkcs7_data), cipher, content});
    const Bytes data =
        der(kSequence, {zero, der(kSet, {recipients.empty() ? one : recipients}), info, tail});
    return der(kSequence, {der_oid(type), der(0xa0, {data})});
  }
};

Error reading(const Parts& parts) {
  const Bytes message = parts.message();
  return error_of([&] { read_enveloped_data(read_content_info(message, kInput), kInput); });
}

TEST(EnvelopedData, OfWhichThePartsFitIsRead) {
  const Bytes message = Parts{}.message();
  const EnvelopedData read = read_enveloped_data(read_content_info(message, kInput), kInput);
  EXPECT_EQ(read.recipients.size(), 1u);
  EXPECT_FALSE(read.recipients[0].refusal);
}

TEST(EnvelopedData, WithAnIvOfAnotherLengthIsMalformed) {
  for (const std::size_t size : {0u, 15u, 17u, 64u, 100000u}) {
    Parts parts;
    parts.cipher = der(kSequence, {der_oid(NID_aes_256_cbc), der(kOctetString, {Bytes(size, 1)})});
    EXPECT_EQ(reading(parts).kind(), Kind::malformed) << size;
  }
}

TEST(EnvelopedData, WithANonceOrTagOutOfRangeIsMalformed) {
  const auto gcm = [](std::size_t nonce, unsigned char tag) {
    Parts parts;
    parts.type = NID_id_smime_ct_authEnvelopedData;
    parts.cipher = der(
        kSequence, {der_oid(NID_aes_256_gcm), der(kSequence, {der(kOctetString, {Bytes(nonce, 1)}),
                                                              der(kInteger, {Bytes(1, tag)})})});
    parts.tail = der(kOctetString, {Bytes(16, 1)});
    return parts;
  };
  EXPECT_NO_THROW(read_enveloped_data(read_content_info(gcm(12, 16).message(), kInput), kInput));
  for (const std::size_t nonce : {0u, 7u, 17u, 4096u})
    EXPECT_EQ(reading(gcm(nonce, 16)).kind(), Kind::malformed) << nonce;
  for (const int tag : {0, 4, 11, 12, 15, 17, 255})
    EXPECT_EQ(reading(gcm(12, static_cast<unsigned char>(tag))).kind(), Kind::malformed) << tag;
}

TEST(EnvelopedData, OfWhichOaepHasNoParametersIsRefusedAndNotTakenForPkcs1) {
  for (const Bytes& parameters : {Bytes{}, der(kNull, {}), der(kOctetString, {})}) {
    Parts parts;
    parts.algorithm = der(kSequence, {der_oid(NID_rsaesOaep), parameters});
    const Bytes message = parts.message();
    const EnvelopedData read = read_enveloped_data(read_content_info(message, kInput), kInput);
    const Error error = error_of([&] { decrypt(read, read.recipients[0], *rsa().key, kInput); });
    EXPECT_EQ(error.kind(), Kind::malformed);
    EXPECT_THAT(error.what(), HasSubstr("parameters of OAEP are missing"));
  }
}

TEST(EnvelopedData, WithoutContentIsMalformed) {
  Parts parts;
  parts.content = {};
  EXPECT_THAT(reading(parts).what(), HasSubstr("encrypted content is missing"));
}

TEST(EnvelopedData, WithoutRecipientIsMalformed) {
  Parts parts;
  parts.recipients = der(kSet, {});
  EXPECT_EQ(reading(parts).kind(), Kind::malformed);
}

TEST(EnvelopedData, WithAnOldCipherIsUnsupportedByName) {
  for (const int nid : {NID_rc2_cbc, NID_des_cbc}) {
    Parts parts;
    parts.cipher = der(kSequence, {der_oid(nid), der(kOctetString, {Bytes(8, 1)})});
    const Error error = reading(parts);
    EXPECT_EQ(error.kind(), Kind::unsupported);
    EXPECT_THAT(error.what(), HasSubstr(OBJ_nid2sn(nid)));
  }
}

TEST(EnvelopedData, WithTheCipherOfTheOtherTypeIsMalformed) {
  Parts parts;
  parts.type = NID_id_smime_ct_authEnvelopedData;
  parts.tail = der(kOctetString, {Bytes(16, 1)});
  EXPECT_EQ(reading(parts).kind(), Kind::malformed);
}

TEST(EnvelopedData, CutOffAnywhereIsMalformed) {
  const Bytes message = encrypted(p256(), "aes-256-gcm", Bytes(20, 1));
  for (std::size_t size = 0; size < message.size(); ++size) {
    const ByteView part = ByteView(message).first(size);
    EXPECT_EQ(error_of([&] { decrypted(part, p256()); }).kind(), Kind::malformed) << size;
  }
}

TEST(EnvelopedData, OfWhichAnEndMarkLiesOutsideItsElementIsMalformed) {
  const Bytes message{0x2b, 0x81, 0x04, 0x30, 0x80, 0x0e, 0, 0, 0, 0, 0};
  EXPECT_EQ(error_of([&] { check_ber(message, kInput); }).kind(), Kind::malformed);
}

TEST(EnvelopedData, WithBytesBehindItIsMalformed) {
  Bytes message = encrypted(p256(), "aes-256-gcm", Bytes(20, 1));
  message.push_back(0);
  EXPECT_EQ(error_of([&] { decrypted(message, p256()); }).kind(), Kind::malformed);
}

TEST(EnvelopedData, ForAPasswordOrASharedKeySaysSo) {
  Parts parts;
  parts.recipients = der(0xa3, {der(kInteger, {Bytes(1, 0)})});
  const Bytes message = parts.message();
  const EnvelopedData read = read_enveloped_data(read_content_info(message, kInput), kInput);
  EXPECT_EQ(read.recipients[0].refusal->kind(), Kind::unsupported);
  EXPECT_THAT(read.recipients[0].refusal->what(), HasSubstr("a password opens it"));
}

TEST(EnvelopedData, OfTenThousandRecipientsIsMadeAndReadInSeconds) {
  std::vector<ossl::Certificate> recipients;
  for (int i = 0; i < 9'999; ++i) recipients.push_back(ossl::share(rsa().certificate.get()));
  recipients.push_back(ossl::share(p256().certificate.get()));
  const Bytes content(10, 1);
  const Bytes message = encrypted(recipients, "aes-256-cbc", content);
  EXPECT_TRUE(decrypted(message, p256()) == content);
}

TEST(CmsRecipient, ThatIsNotForEncryptionOrNotValidIsRefused) {
  const auto check = [](const char* type, const char* usage, std::time_t time) {
    tests::CertificateSpec spec;
    spec.key_usage = usage;
    const auto key = MemoryKey::generate(type);
    static const Identity issuer = tests::root();
    const ossl::Certificate certificate = certify(spec, key, &issuer);
    check_recipient(certificate.get(), time, "alice");
  };
  EXPECT_NO_THROW(check("rsa:2048", "", kNow));
  EXPECT_NO_THROW(check("rsa:2048", "digitalSignature,keyEncipherment", kNow));
  EXPECT_NO_THROW(check("ec:p256", "keyAgreement", kNow));
  EXPECT_EQ(error_of([&] { check("rsa:2048", "digitalSignature", kNow); }).kind(), Kind::refused);
  EXPECT_EQ(error_of([&] { check("ec:p256", "keyEncipherment", kNow); }).kind(), Kind::refused);
  const Error expired =
      error_of([&] { check("rsa:2048", "keyEncipherment", kNow + 11 * tests::kDay); });
  EXPECT_EQ(expired.kind(), Kind::refused);
  EXPECT_THAT(expired.what(), HasSubstr("it expired at"));
  EXPECT_THAT(error_of([&] { check("rsa:2048", "", kNow - 11 * tests::kDay); }).what(),
              HasSubstr("not valid before"));
  EXPECT_EQ(error_of([&] { check("ed25519", "", kNow); }).kind(), Kind::unsupported);
}

}  // namespace
}  // namespace hsmith::cms
