#include "src/cms/recipient_infos.h"

#include <algorithm>
#include <array>
#include <openssl/evp.h>
#include <openssl/objects.h>

#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "src/cms/der.h"
#include "src/cms/key_agreement.h"
#include "src/ossl/check.h"
#include "src/ossl/rsa_encryption.h"
#include "src/x509/certificate.h"

namespace hsmith::cms {
namespace {

constexpr unsigned char kContext0 = context_tag(0) | kConstructed;
constexpr unsigned char kContext1 = context_tag(1) | kConstructed;
constexpr unsigned char kBitString = 0x03;
constexpr std::array<unsigned char, 1> kZero{0}, kThree{3};

Bytes issuer_and_serial(const X509* certificate) {
  const Bytes issuer = ossl::der_of(i2d_X509_NAME, X509_get_issuer_name(certificate));
  const Bytes serial = ossl::der_of(i2d_ASN1_INTEGER, X509_get0_serialNumber(certificate));
  return der(kSequence, {issuer, serial});
}

Bytes digest_algorithm(const ossl::DigestType& digest) {
  return der(kSequence, {der_oid(EVP_MD_get_type(digest.md())), der(kNull, {})});
}

// RFC 3370, 4.2.1; RSAES-OAEP-params: there (RFC 4055, 4.1), but in DER without what is the
// default.
Bytes rsa_algorithm(const ossl::RsaEncryption& how) {
  if (how.padding == ossl::RsaPadding::pkcs1)
    return der(kSequence, {der_oid(NID_rsaEncryption), der(kNull, {})});
  Bytes hash;
  Bytes mask;
  if (EVP_MD_get_type(how.digest->md()) != NID_sha1)
    hash = der(kContext0, {digest_algorithm(*how.digest)});
  if (EVP_MD_get_type(how.mgf1->md()) != NID_sha1) {
    const Bytes mgf1 = der(kSequence, {der_oid(NID_mgf1), digest_algorithm(*how.mgf1)});
    mask = der(kContext1, {mgf1});
  }
  return der(kSequence, {der_oid(NID_rsaesOaep), der(kSequence, {hash, mask})});
}

struct Agreed {
  Bytes point;
  Secret shared;
};

Agreed agree(EVP_PKEY* with) {
  const char* doing = "agree on a key";
  const ossl::PKeyContext generator(EVP_PKEY_CTX_new_from_pkey(nullptr, with, nullptr));
  EVP_PKEY* made = nullptr;
  ossl::check(generator && EVP_PKEY_keygen_init(generator.get()) == 1 &&
                  EVP_PKEY_keygen(generator.get(), &made) == 1,
              doing);
  const ossl::PKey ephemeral(made);
  const ossl::PKeyContext agreement(EVP_PKEY_CTX_new_from_pkey(nullptr, ephemeral.get(), nullptr));
  std::size_t size = 0;
  ossl::check(agreement && EVP_PKEY_derive_init(agreement.get()) == 1 &&
                  EVP_PKEY_derive_set_peer(agreement.get(), with) == 1 &&
                  EVP_PKEY_derive(agreement.get(), nullptr, &size) == 1,
              doing);
  Bytes shared(size);
  ossl::check(EVP_PKEY_derive(agreement.get(), shared.data(), &size) == 1, doing);
  return {ossl::public_key_bits(ephemeral.get()), Secret::take(std::move(shared))};
}

}  // namespace

Bytes transport_info(X509* certificate, const ossl::RsaEncryption& how, ByteView encrypted_key) {
  return der(kSequence, {der(kInteger, {kZero}), issuer_and_serial(certificate), rsa_algorithm(how),
                         der(kOctetString, {encrypted_key})});
}

Bytes transport_info(X509* certificate, const ossl::RsaEncryption& how, const Secret& content_key) {
  const Bytes key = ossl::rsa_encrypt(x509::public_key_of(certificate), how, content_key.reveal());
  return transport_info(certificate, how, ByteView(key));
}

Bytes agreement_info(X509* certificate, const Secret& content_key) {
  const KeyWrap& wrap = *key_wrap(NID_id_aes256_wrap);
  const Bytes wrap_algorithm = der_algorithm(wrap.nid);
  const Agreed agreed = agree(x509::public_key_of(certificate));
  const Secret wrapping =
      key_encryption_key(agreed.shared, ossl::digest_named("sha256"),
                         shared_info(wrap_algorithm, std::nullopt, wrap.key_size), wrap.key_size);
  const Bytes wrapped = wrap_key(wrap, wrapping, content_key);
  const Bytes originator = der(kContext1, {der_algorithm(NID_X9_62_id_ecPublicKey),
                                           der(kBitString, {kZero, ByteView(agreed.point)})});
  const Bytes algorithm =
      der(kSequence, {der_oid(NID_dhSinglePass_stdDH_sha256kdf_scheme), wrap_algorithm});
  const Bytes key = der(kSequence, {issuer_and_serial(certificate), der(kOctetString, {wrapped})});
  return der(kContext1, {der(kInteger, {kThree}), der(kContext0, {originator}), algorithm,
                         der(kSequence, {key})});
}

Bytes recipient_infos(std::vector<Bytes> infos) {
  std::sort(infos.begin(), infos.end());
  Bytes content;
  for (const Bytes& info : infos) content.insert(content.end(), info.begin(), info.end());
  return der(kSet, {content});
}

Bytes with_recipients(ByteView content_info, std::vector<Bytes> more, std::string_view input) {
  const ContentInfo info = read_content_info(content_info, input);
  Reader fields(info.content, quoted(input));
  Bytes before = to_bytes(fields.take(kInteger, "the version").whole);
  if (const auto originator = fields.take_if(kContext0))
    before.insert(before.end(), originator->whole.begin(), originator->whole.end());
  Reader there(fields.take(kSet, "the recipients"), quoted(input));
  while (there.more()) more.push_back(to_bytes(there.next().whole));
  Bytes after;
  while (fields.more()) {
    const ByteView next = fields.next().whole;
    after.insert(after.end(), next.begin(), next.end());
  }
  const Bytes data = der(kSequence, {before, recipient_infos(std::move(more)), after});
  return der(kSequence, {der_oid(NID_pkcs7_enveloped), der(kContext0, {data})});
}

}  // namespace hsmith::cms
