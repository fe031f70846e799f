#include "src/ossl/remote_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/rsa.h>
#include <string>

#include "src/base/error.h"
#include "src/ossl/check.h"
#include "tests/support/error_of.h"
#include "tests/support/memory_key.h"

namespace hsmith::ossl {
namespace {

using ::testing::HasSubstr;
using tests::error_of;
using tests::MemoryKey;

using Crl = std::unique_ptr<X509_CRL, Deleter<X509_CRL_free>>;
using OcspResponse = std::unique_ptr<OCSP_BASICRESP, Deleter<OCSP_BASICRESP_free>>;
using OcspId = std::unique_ptr<OCSP_CERTID, Deleter<OCSP_CERTID_free>>;
using Time = std::unique_ptr<ASN1_TIME, Deleter<ASN1_TIME_free>>;
using Cms = std::unique_ptr<CMS_ContentInfo, Deleter<CMS_ContentInfo_free>>;

struct Case {
  const char* key;
  const char* scheme;
};

// Every kind of key, and RSA with both paddings: what OpenSSL signs with it is parsed again from
// its bytes and verified with the public half alone.
class RemoteKeys : public ::testing::TestWithParam<Case> {
 protected:
  const EVP_MD* md() const { return scheme_.digest != nullptr ? scheme_.digest->md() : nullptr; }
  bool ed25519() const { return algorithm_of(public_key()) == KeyAlgorithm::ed25519; }
  EVP_PKEY* public_key() const { return memory_->public_key(); }

  // A context that signs with the remote key as the scheme says.
  DigestContext signing() const {
    DigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* inner = nullptr;  // borrowed
    check(EVP_DigestSignInit(context.get(), &inner, md(), nullptr, remote_.get()) == 1, "start");
    if (scheme_.padding == Padding::pss) {
      check(EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) == 1, "set PSS");
      check(EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST) == 1, "set the salt");
    }
    return context;
  }

  // Self-signed by the remote key.
  Certificate certificate() const {
    Certificate made(X509_new());
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
    X509_NAME* name = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, as_bytes("remote").data(), 6, -1, 0);
    X509_set_issuer_name(made.get(), name);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
    X509_set_pubkey(made.get(), public_key());
    const DigestContext context = signing();
    check(X509_sign_ctx(made.get(), context.get()) > 0, "sign a certificate");
    return made;
  }

  Bytes cms_signature(unsigned flags) const;

  std::shared_ptr<MemoryKey> memory_ = MemoryKey::generate(GetParam().key);
  Scheme scheme_ = choose_scheme(memory_->public_key(), GetParam().scheme, "");
  PKey remote_ = as_pkey(memory_);
};

TEST_P(RemoteKeys, EqualTheirPublicHalfBothWays) {
  const auto stranger = MemoryKey::generate(GetParam().key);
  const PKey other = as_pkey(stranger);
  EXPECT_EQ(EVP_PKEY_eq(remote_.get(), public_key()), 1);
  EXPECT_EQ(EVP_PKEY_eq(public_key(), remote_.get()), 1);
  EXPECT_EQ(EVP_PKEY_eq(remote_.get(), as_pkey(memory_).get()), 1);
  EXPECT_NE(EVP_PKEY_eq(remote_.get(), other.get()), 1);
  EXPECT_NE(EVP_PKEY_eq(remote_.get(), stranger->public_key()), 1);
  EXPECT_NE(EVP_PKEY_eq(stranger->public_key(), remote_.get()), 1);
}

TEST_P(RemoteKeys, ShowTheirPublicHalfAndNothingElse) {
  EXPECT_EQ(spki_of(remote_.get()), spki_of(public_key()));
  EXPECT_EQ(key_type_name(remote_.get()), GetParam().key);
  EXPECT_EQ(EVP_PKEY_get_size(remote_.get()), EVP_PKEY_get_size(public_key()));
  EXPECT_EQ(EVP_PKEY_get_security_bits(remote_.get()), EVP_PKEY_get_security_bits(public_key()));
  OSSL_PARAM* parameters = nullptr;
  EXPECT_NE(EVP_PKEY_todata(remote_.get(), EVP_PKEY_KEYPAIR, &parameters), 1);
  unsigned char* der = nullptr;
  EXPECT_LE(i2d_PrivateKey(remote_.get(), &der), 0);
}

TEST_P(RemoteKeys, SignARequest) {
  const Request made(X509_REQ_new());
  ASSERT_EQ(X509_REQ_set_pubkey(made.get(), remote_.get()), 1);
  const DigestContext context = signing();
  ASSERT_GT(X509_REQ_sign_ctx(made.get(), context.get()), 0);
  EXPECT_EQ(memory_->signatures, 1);

  const Bytes der = der_of(i2d_X509_REQ, made.get());
  const unsigned char* at = der.data();
  const Request read(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  EXPECT_EQ(X509_REQ_verify(read.get(), public_key()), 1);
  const X509_ALGOR* algorithm = nullptr;
  X509_REQ_get0_signature(read.get(), nullptr, &algorithm);
  EXPECT_EQ(der_of(i2d_X509_ALGOR, algorithm), algorithm_identifier(public_key(), scheme_));
}

TEST_P(RemoteKeys, SignACertificateThatTheyBelongTo) {
  const Certificate made = certificate();
  EXPECT_EQ(X509_check_private_key(made.get(), remote_.get()), 1);
  const Bytes der = der_of(i2d_X509, made.get());
  const unsigned char* at = der.data();
  const Certificate read(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  EXPECT_EQ(X509_verify(read.get(), public_key()), 1);
  const PKey stranger = as_pkey(MemoryKey::generate(GetParam().key));
  EXPECT_NE(X509_check_private_key(read.get(), stranger.get()), 1);
}

TEST_P(RemoteKeys, SignARevocationList) {
  const Certificate issuer = certificate();
  const Crl made(X509_CRL_new());
  X509_CRL_set_version(made.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(made.get(), X509_get_subject_name(issuer.get()));
  X509_CRL_set1_lastUpdate(made.get(), X509_get0_notBefore(issuer.get()));
  X509_CRL_set1_nextUpdate(made.get(), X509_get0_notAfter(issuer.get()));
  const DigestContext context = signing();
  ASSERT_GT(X509_CRL_sign_ctx(made.get(), context.get()), 0);

  const Bytes der = der_of(i2d_X509_CRL, made.get());
  const unsigned char* at = der.data();
  const Crl read(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  EXPECT_EQ(X509_CRL_verify(read.get(), public_key()), 1);
}

TEST_P(RemoteKeys, SignAnOcspResponse) {
  const Certificate issuer = certificate();
  const OcspResponse made(OCSP_BASICRESP_new());
  const OcspId id(OCSP_cert_to_id(EVP_sha1(), issuer.get(), issuer.get()));
  const Time now(X509_gmtime_adj(nullptr, 0));
  ASSERT_NE(OCSP_basic_add1_status(made.get(), id.get(), V_OCSP_CERTSTATUS_GOOD, 0, nullptr,
                                   now.get(), nullptr),
            nullptr);
  const DigestContext context = signing();
  ASSERT_EQ(OCSP_basic_sign_ctx(made.get(), issuer.get(), context.get(), nullptr, 0), 1);

  const Bytes der = der_of(i2d_OCSP_BASICRESP, made.get());
  const unsigned char* at = der.data();
  const OcspResponse read(d2i_OCSP_BASICRESP(nullptr, &at, static_cast<long>(der.size())));
  EXPECT_EQ(OCSP_basic_verify(read.get(), nullptr, nullptr, OCSP_NOVERIFY), 1);
}

// A detached signature over "content", DER. Throws what ossl::check() throws.
Bytes RemoteKeys::cms_signature(unsigned flags) const {
  const Certificate signer = certificate();
  const Bio content(BIO_new_mem_buf("content", 7));
  const unsigned kind = CMS_BINARY | CMS_DETACHED;
  const Cms made(CMS_sign(nullptr, nullptr, nullptr, content.get(), kind | CMS_PARTIAL));
  const bool pss = scheme_.padding == Padding::pss;
  CMS_SignerInfo* info =
      CMS_add1_signer(made.get(), signer.get(), remote_.get(),
                      md() != nullptr ? md() : EVP_sha512(), flags | (pss ? CMS_KEY_PARAM : 0u));
  check(info != nullptr, "add the signer");
  if (pss) {
    EVP_PKEY_CTX* context = CMS_SignerInfo_get0_pkey_ctx(info);
    check(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1, "set PSS");
    check(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1, "set the salt");
  }
  check(CMS_final(made.get(), content.get(), nullptr, kind) == 1, "finish the CMS signature");
  return der_of(i2d_CMS_ContentInfo, made.get());
}

bool cms_verifies(const Bytes& der, const char* content) {
  const unsigned char* at = der.data();
  const Cms read(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size())));
  const Bio detached(BIO_new_mem_buf(content, -1));
  return CMS_verify(read.get(), nullptr, nullptr, detached.get(), nullptr,
                    CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) == 1;
}

TEST_P(RemoteKeys, SignCmsWithSignedAttributes) {
  if (ed25519()) {
    // OpenSSL 3.0 names a digest and streams, for software keys too.
    EXPECT_THAT(error_of([&] { cms_signature(CMS_CADES); }).what(),
                HasSubstr("an Ed25519 key signs the message itself"));
    return;
  }
  const Bytes der = cms_signature(CMS_CADES);
  EXPECT_TRUE(cms_verifies(der, "content"));
  EXPECT_FALSE(cms_verifies(der, "another"));
}

TEST_P(RemoteKeys, SignCmsWithoutSignedAttributes) {
  if (ed25519()) {
    EXPECT_THROW(cms_signature(CMS_NOATTR), Error);
    return;
  }
  const Bytes der = cms_signature(CMS_NOATTR);
  EXPECT_TRUE(cms_verifies(der, "content"));
  EXPECT_FALSE(cms_verifies(der, "another"));
}

TEST_P(RemoteKeys, LetTheErrorOfTheTokenThrough) {
  const auto failing = [&](auto sign) {
    memory_->fail_next_sign(Error(Kind::token_removed, "sign on token \"a\": it was removed")
                                .hint("put it back")
                                .ckr("CKR_DEVICE_REMOVED"));
    const Error error = error_of(sign);
    EXPECT_EQ(error.kind(), Kind::token_removed);
    EXPECT_STREQ(error.what(), "sign on token \"a\": it was removed");
    EXPECT_EQ(error.hint(), "put it back");
    EXPECT_EQ(error.ckr(), "CKR_DEVICE_REMOVED");
    EXPECT_EQ(ERR_peek_error(), 0u);
  };
  failing([&] {
    const Request made(X509_REQ_new());
    X509_REQ_set_pubkey(made.get(), public_key());
    check(X509_REQ_sign(made.get(), remote_.get(), md()) > 0, "sign a request");
  });
  failing([&] { certificate(); });
  EXPECT_NO_THROW(certificate());
}

TEST_P(RemoteKeys, LiveAsLongAsTheirEvpPkey) {
  const std::weak_ptr<MemoryKey> watched = memory_;
  memory_.reset();
  ASSERT_FALSE(watched.expired());
  Bytes signature(512);
  std::size_t size = signature.size();
  {
    const DigestContext context = signing();
    remote_.reset();  // the context is the last owner now
    ASSERT_EQ(EVP_DigestSign(context.get(), signature.data(), &size, signature.data(), 5), 1);
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
}

TEST_P(RemoteKeys, SignFromACopiedContext) {
  const DigestContext first = signing();
  if (ed25519()) {
    EXPECT_NE(EVP_DigestSignUpdate(first.get(), "mess", 4), 1);  // it does not stream
    return;
  }
  ASSERT_EQ(EVP_DigestSignUpdate(first.get(), "mess", 4), 1);
  const DigestContext second(EVP_MD_CTX_new());
  ASSERT_EQ(EVP_MD_CTX_copy_ex(second.get(), first.get()), 1);
  ASSERT_EQ(EVP_DigestSignUpdate(first.get(), "age", 3), 1);
  ASSERT_EQ(EVP_DigestSignUpdate(second.get(), "ing", 3), 1);
  const auto finish = [](EVP_MD_CTX* context) {
    Bytes signature(512);
    std::size_t size = signature.size();
    check(EVP_DigestSignFinal(context, signature.data(), &size) == 1, "finish");
    signature.resize(size);
    return signature;
  };
  const auto hash = [&](std::string_view text) { return digest(*scheme_.digest, as_bytes(text)); };
  EXPECT_TRUE(verify(public_key(), scheme_, hash("message"), finish(first.get())));
  EXPECT_TRUE(verify(public_key(), scheme_, hash("messing"), finish(second.get())));
}

INSTANTIATE_TEST_SUITE_P(, RemoteKeys,
                         ::testing::Values(Case{"rsa:2048", "pkcs1"}, Case{"rsa:2048", "pss"},
                                           Case{"ec:p256", ""}, Case{"ec:p384", ""},
                                           Case{"ec:p521", ""}, Case{"ed25519", ""}),
                         [](const auto& one) {
                           std::string name = std::string(one.param.key) + one.param.scheme;
                           std::erase(name, ':');
                           return name;
                         });

TEST(RemoteKey, LeavesSoftwareKeysToOpenssl) {
  const PKey remote = as_pkey(MemoryKey::generate("ec:p256"));
  const PKey software = tests::generate_software_key("ec:p256");
  const Request request(X509_REQ_new());
  ASSERT_EQ(X509_REQ_set_pubkey(request.get(), software.get()), 1);
  ASSERT_GT(X509_REQ_sign(request.get(), software.get(), EVP_sha256()), 0);
  EXPECT_EQ(X509_REQ_verify(request.get(), software.get()), 1);
}

TEST(RemoteKey, CanBeMadeAgainAfterTheLastOneWent) {
  const auto memory = MemoryKey::generate("ec:p256");
  as_pkey(memory).reset();
  const PKey again = as_pkey(memory);
  EXPECT_EQ(EVP_PKEY_eq(again.get(), memory->public_key()), 1);
}

TEST(RemoteKey, InMemoryDecryptsWhatWasEncryptedToIt) {
  const auto memory = MemoryKey::generate("rsa:2048");
  const PKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, memory->public_key(), nullptr));
  ASSERT_EQ(EVP_PKEY_encrypt_init(context.get()), 1);
  Bytes sealed(256);
  std::size_t size = sealed.size();
  ASSERT_EQ(EVP_PKEY_encrypt(context.get(), sealed.data(), &size, as_bytes("secret").data(), 6), 1);
  EXPECT_EQ(as_text(memory->decrypt({RsaPadding::pkcs1}, sealed).reveal()), "secret");
  EXPECT_EQ(memory->decryptions, 1);
}

TEST(RemoteKey, InMemoryAgreesWithItsPeerOnASecret) {
  const auto a = MemoryKey::generate("ec:p384");
  const auto b = MemoryKey::generate("ec:p384");
  const Secret here = a->derive(public_key_bits(b->public_key()));
  const Secret there = b->derive(public_key_bits(a->public_key()));
  EXPECT_EQ(here.size(), 48u);
  EXPECT_EQ(hex(here.reveal()), hex(there.reveal()));
}

TEST(RemoteKey, IsRefusedWhenItIsOfAnotherKind) {
  const auto memory =
      std::make_shared<MemoryKey>(PKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519")));
  EXPECT_EQ(error_of([&] { as_pkey(memory); }).kind(), Kind::unsupported);
}

}  // namespace
}  // namespace hsmith::ossl
