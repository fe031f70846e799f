#include "src/cms/sign.h"

#include <array>
#include <fmt/format.h>
#include <openssl/rsa.h>

#include "src/base/error.h"
#include "src/cms/content_info.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"

namespace hsmith::cms {
namespace {

constexpr const char* kDoing = "make a CMS signature";

// OpenSSL's signer info, with the scheme set.
void add_signer(CMS_ContentInfo* cms, const Signing& signing, EVP_PKEY* key) {
  const bool pss = signing.scheme.padding == ossl::Padding::pss;
  const unsigned flags = CMS_CADES | CMS_NOSMIMECAP | (pss ? CMS_KEY_PARAM : 0u);
  CMS_SignerInfo* info =
      CMS_add1_signer(cms, signing.certificate, key, signing.scheme.digest->md(), flags);
  ossl::check(info != nullptr, kDoing);
  for (const SignedAttribute& attribute : signing.attributes) {
    ossl::check(CMS_signed_add1_attr_by_txt(info, attribute.oid, V_ASN1_OCTET_STRING,
                                            attribute.octets.data(),
                                            static_cast<int>(attribute.octets.size())) == 1,
                kDoing);
  }
  if (!pss) return;
  EVP_PKEY_CTX* context = CMS_SignerInfo_get0_pkey_ctx(info);
  ossl::check(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
                  EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1,
              kDoing);
}

void write_all(BIO* bio, ByteView block) {
  ossl::check(BIO_write(bio, block.data(), static_cast<int>(block.size())) ==
                  static_cast<int>(block.size()),
              kDoing);
}

// The message is decoded afresh: OpenSSL's own structure still holds the signing key.
void check_made(const Bytes& der, const Signing& signing, const ContentDigests& digests) {
  constexpr const char* kName = "the CMS message just made";
  const ContentInfo info = read_content_info(der, kName);
  const SignedData data = read_signed_data(info.content, kName);
  const std::vector<Signature> made =
      verify_signatures(der, data, digests, certificates_of(data), {}, WeakDigest::refuse, kName);
  const bool good = made.size() == 1 && made.front().verifies &&
                    data.signers.front().signing_time &&
                    data.signers.front().signing_certificate_v2 &&
                    x509::same_certificate(made.front().certificate.get(), signing.certificate);
  if (good) return;
  throw Error(Kind::token_failed,
              fmt::format("{}: it does not verify: {}; it was not given out", kDoing,
                          made.empty() ? "no signer" : made.front().problem));
}

}  // namespace

Bytes sign(const Signing& signing, Placing placing, const Content& content) {
  if (ossl::algorithm_of(signing.key->public_key()) == ossl::KeyAlgorithm::ed25519) {
    throw Error(Kind::unsupported,
                "make a CMS signature: OpenSSL 3.0 makes none with an Ed25519 key")
        .hint("use --format raw or jws, or an RSA or EC key");
  }
  ossl::clear_errors();
  const ossl::PKey key = ossl::as_pkey(signing.key);
  const unsigned flags = CMS_BINARY | (placing == Placing::detached ? CMS_DETACHED : 0u);
  const Cms cms(
      ossl::check_ptr(CMS_sign(nullptr, nullptr, nullptr, nullptr, flags | CMS_PARTIAL), kDoing));
  add_signer(cms.get(), signing, key.get());
  for (const ossl::Certificate& one : signing.chain) {
    ossl::check(CMS_add1_cert(cms.get(), one.get()) == 1, kDoing);
  }
  const ossl::Bio into(ossl::check_ptr(CMS_dataInit(cms.get(), nullptr), kDoing));
  const std::array<const ossl::DigestType*, 1> digest{signing.scheme.digest};
  ContentDigests digests(digest);
  std::size_t size = 0;
  content([&](ByteView block) {
    size += block.size();
    if (placing == Placing::attached && size > kMostContent) {
      throw Error(Kind::unsupported,
                  "make a CMS signature: a content larger than 512 MiB is not put into the message")
          .hint("use --detached");
    }
    write_all(into.get(), block);
    digests.update(block);
  });
  ossl::check(CMS_dataFinal(cms.get(), into.get()) == 1, kDoing);
  Bytes der = ossl::der_of(i2d_CMS_ContentInfo, cms.get());
  check_made(der, signing, digests);
  return der;
}

}  // namespace hsmith::cms
