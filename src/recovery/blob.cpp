#include "src/recovery/blob.h"

#include <array>
#include <fmt/format.h>
#include <openssl/cms.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "src/cms/der.h"
#include "src/cms/sign.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"

namespace hsmith::recovery {
namespace {

constexpr const char* kCertificateHash = "1.3.6.1.4.1.311.21.16";  // szOID_ARCHIVED_KEY_CERT_HASH

Bytes sha1_of(X509* certificate) {
  return ossl::digest(ossl::digest_named("sha1"), x509::certificate_der(certificate));
}

void add_once(std::vector<ossl::Certificate>& all, ossl::Certificate certificate) {
  for (const auto& there : all) {
    if (x509::same_certificate(there.get(), certificate.get())) return;
  }
  all.push_back(std::move(certificate));
}

// The attribute's OCTET STRING from the one signer info.
Bytes certificate_hash(ByteView ber, std::string_view input) {
  const cms::Cms message = cms::decode(ber, input);
  STACK_OF(CMS_SignerInfo)* signers = CMS_get0_SignerInfos(message.get());
  const ossl::Asn1Object oid(OBJ_txt2obj(kCertificateHash, 1));
  const auto* value = static_cast<const ASN1_OCTET_STRING*>(CMS_signed_get0_data_by_OBJ(
      sk_CMS_SignerInfo_value(signers, 0), oid.get(), -3, V_ASN1_OCTET_STRING));
  ossl::clear_errors();
  if (value == nullptr) {
    throw Error(Kind::malformed,
                fmt::format("read {}: it is no recovery blob: the signed attribute {} is missing",
                            quoted(input), kCertificateHash));
  }
  return to_bytes(
      {ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value))});
}

// The content is the stored ContentInfo, or the EnvelopedData alone.
Bytes content_info_in(const Bytes& content, std::string_view input) {
  cms::check_ber(content, input);
  const cms::Element whole = cms::Reader(content, input).next();
  if (cms::Reader(whole, input).tag() == cms::kOid) return content;
  const Bytes data = cms::der(cms::context_tag(0) | cms::kConstructed, {content});
  return cms::der(cms::kSequence, {cms::der_oid(NID_pkcs7_enveloped), data});
}

}  // namespace

Bytes make_blob(Archive& archive, const KeyRow& key, const BlobSigner& signer) {
  const ossl::Certificate user = checked_certificate(archive, key.certificate);
  std::vector<ossl::Certificate> all;
  add_once(all, ossl::share(user.get()));
  const std::array<const std::vector<Bytes>*, 3> lists{&key.chain, &key.agents,
                                                       &archive.settings.anchors};
  for (const auto* hashes : lists) {
    for (auto& certificate : checked_certificates(archive, *hashes))
      add_once(all, std::move(certificate));
  }
  std::erase_if(all, [&](const auto& certificate) {  // OpenSSL adds the signer's own
    return x509::same_certificate(certificate.get(), signer.certificate);
  });
  const std::vector<cms::SignedAttribute> attributes{{kCertificateHash, sha1_of(user.get())}};
  cms::Signing signing;
  signing.key = signer.key;
  signing.scheme = ossl::choose_scheme(signer.key->public_key(), "", "");
  signing.certificate = signer.certificate;
  signing.chain = all;
  signing.attributes = attributes;
  const Bytes made = cms::sign(signing, cms::Placing::attached,
                               [&](const auto& take) { take(ByteView(key.blob)); });
  const RecoveryBlob again = read_blob(made, "the recovery blob just made");
  if (!x509::same_certificate(again.user.get(), user.get()))
    throw Error(Kind::internal, "make a recovery blob: it names another certificate");
  return made;
}

RecoveryBlob read_blob(ByteView content, std::string_view input) {
  const auto message = cms::verify_message(content, nullptr, {}, cms::WeakDigest::accept, input);
  if (message.signatures.size() != 1 || !message.content)
    throw Error(Kind::malformed,
                fmt::format("read {}: a recovery blob has one signer", quoted(input)));
  const cms::Signature& signature = message.signatures.front();
  if (!signature.verifies) {
    throw Error(Kind::mismatch, fmt::format("read {}: its signature does not verify: {}",
                                            quoted(input), signature.problem));
  }
  RecoveryBlob blob;
  blob.signer = signature.signer;
  if (signature.certificate) blob.signer_certificate = ossl::share(signature.certificate.get());
  const Bytes hash = certificate_hash(content, input);
  for (const auto& certificate : message.certificates) {
    if (equal(sha1_of(certificate.get()), hash)) blob.user = ossl::share(certificate.get());
    blob.others.push_back(ossl::share(certificate.get()));
  }
  if (!blob.user) {
    throw Error(Kind::mismatch,
                fmt::format("read {}: the certificate that its attribute {} names is not in it",
                            quoted(input), kCertificateHash));
  }
  blob.envelope = read_envelope(content_info_in(*message.content, input), input);
  blob.sha256 = sha256_of(content);
  return blob;
}

void require_officer(const RecoveryBlob& blob, std::span<const ossl::Certificate> officers,
                     std::string_view input) {
  for (const auto& officer : officers) {
    if (blob.signer_certificate &&
        x509::same_certificate(officer.get(), blob.signer_certificate.get())) {
      return;
    }
  }
  throw Error(Kind::refused, fmt::format("recover from {}: it is signed by {}, who is not an "
                                         "officer that is trusted here",
                                         quoted(input), blob.signer))
      .hint("name the officer's certificate with --officer-cert, or in [recover] officers");
}

X509* certificate_of(const RecoveryBlob& blob, const cms::Recipient& recipient) {
  for (const auto& certificate : blob.others) {
    if (cms::names(recipient.name, certificate.get())) return certificate.get();
  }
  return nullptr;
}

}  // namespace hsmith::recovery
