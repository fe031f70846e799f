#include "src/recovery/blob.h"

#include <algorithm>
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
#include "src/recovery/agent_certificates.h"
#include "src/recovery/agents.h"
#include "src/x509/certificate.h"
#include "src/x509/kind.h"

namespace hsmith::recovery {
namespace {

constexpr unsigned char kExplicit0 = cms::context_tag(0) | cms::kConstructed;
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

// Numbers that nobody gives out twice (X.667): the arc of UUIDs.
constexpr const char* kChallengeAttribute = "2.25.225990999418679547552971512246255755213";
constexpr const char* kCompromisedAttribute = "2.25.153059757566666709779829259735637963136";

// What the one signer says beside the content, each an OCTET STRING.
struct Attributes {
  std::optional<Bytes> certificate_hash;
  std::optional<Bytes> challenge;
  std::optional<Bytes> compromised;
};

std::optional<Bytes> signed_octets(CMS_SignerInfo* signer, const char* attribute) {
  const ossl::Asn1Object oid(OBJ_txt2obj(attribute, 1));
  const auto* value = static_cast<const ASN1_OCTET_STRING*>(
      CMS_signed_get0_data_by_OBJ(signer, oid.get(), -3, V_ASN1_OCTET_STRING));
  ossl::clear_errors();
  if (value == nullptr) return std::nullopt;
  return to_bytes(
      {ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value))});
}

// Decoding reads every certificate's key, and takes longer than all else: once for all of them.
Attributes attributes_of(ByteView ber, std::string_view input) {
  const cms::Cms message = cms::decode(ber, input);
  CMS_SignerInfo* signer = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(message.get()), 0);
  Attributes attributes{signed_octets(signer, kCertificateHash),
                        signed_octets(signer, kChallengeAttribute),
                        signed_octets(signer, kCompromisedAttribute)};
  if (attributes.certificate_hash) return attributes;
  throw Error(Kind::malformed,
              fmt::format("read {}: it is no recovery blob: the signed attribute {} is missing",
                          quoted(input), kCertificateHash));
}

// PKCS#7 v1.5 (RFC 2315, 9.1) has the content itself where CMS has an OCTET STRING, and signs its
// octets without identifier and length (9.3; RFC 5652, 5.2.1). The same message in the form of CMS,
// over the same octets; nullopt when it is in that form.
std::optional<Bytes> as_cms(ByteView ber, std::string_view input) {
  const cms::ContentInfo info = cms::read_content_info(ber, input);
  if (info.type != cms::ContentType::signed_data || info.content.tag != cms::kSequence)
    return std::nullopt;
  cms::Reader fields(info.content, quoted(input));
  const cms::Element version = fields.take(cms::kInteger, "the version");
  const cms::Element digests = fields.take(cms::kSet, "the digests");
  cms::Reader content(fields.take(cms::kSequence, "the content"), quoted(input));
  const cms::Element type = content.take(cms::kOid, "the content's type");
  const auto inner = content.take_if(kExplicit0);
  if (!inner) return std::nullopt;
  const cms::Element value = cms::Reader(*inner, quoted(input)).next();
  if (value.tag != cms::kSequence) return std::nullopt;
  const Bytes octets = cms::der(kExplicit0, {cms::der(cms::kOctetString, {value.content})});
  Bytes rest;
  while (fields.more()) {
    const ByteView next = fields.next().whole;
    rest.insert(rest.end(), next.begin(), next.end());
  }
  const Bytes data = cms::der(
      cms::kSequence,
      {version.whole, digests.whole, cms::der(cms::kSequence, {type.whole, octets}), rest});
  return cms::der(cms::kSequence, {cms::der_oid(NID_pkcs7_signed), cms::der(kExplicit0, {data})});
}

// The content is the stored ContentInfo, or the EnvelopedData alone.
Bytes content_info_in(const Bytes& content, std::string_view input) {
  cms::check_ber(content, input);
  const cms::Element whole = cms::Reader(content, input).next();
  if (cms::Reader(whole, input).tag() == cms::kOid) return content;
  const Bytes data = cms::der(kExplicit0, {content});
  return cms::der(cms::kSequence, {cms::der_oid(NID_pkcs7_enveloped), data});
}

// True for a certificate that has the name of one to whom the key is encrypted.
bool is_named_as_agent(const Envelope& envelope, X509* certificate) {
  return std::any_of(
      envelope.data.recipients.begin(), envelope.data.recipients.end(),
      [&](const cms::Recipient& recipient) { return cms::names(recipient.name, certificate); });
}

// The number, to whom the key is encrypted, and in the same ways.
Bytes challenge_envelope(const Envelope& envelope, const std::vector<ossl::Certificate>& agents,
                         const Secret& number) {
  std::vector<EnvelopeTo> to;
  for (const cms::Recipient& recipient : envelope.data.recipients) {
    for (const auto& agent : agents) {
      const std::string ability = ability_of(recipient);
      if (cms::names(recipient.name, agent.get()) && !ability.empty())
        to.push_back({agent.get(), ability});
    }
  }
  return make_envelope(number.reveal(), to);
}

}  // namespace

MadeBlob make_blob(Archive& archive, const KeyRow& key, const std::string& compromised,
                   const FileSigner& signer) {
  const ossl::Certificate user = checked_certificate(archive, key.certificate);
  std::vector<ossl::Certificate> all;
  add_once(all, ossl::share(user.get()));
  const Envelope envelope = read_envelope(key.blob, "the archived key");
  const KeyAgents agents = agents_of(archive, key);
  for (const auto& agent : agents.known) add_once(all, ossl::share(agent.get()));
  const std::array<const std::vector<Bytes>*, 2> lists{&key.chain, &archive.settings.anchors};
  for (const auto* hashes : lists) {
    for (auto& certificate : known_certificates(archive, *hashes).certificates) {
      if (!is_named_as_agent(envelope, certificate.get())) add_once(all, std::move(certificate));
    }
  }
  std::erase_if(all, [&](const auto& certificate) {  // OpenSSL adds the signer's own
    return x509::same_certificate(certificate.get(), signer.certificate);
  });
  MadeBlob made;
  made.challenge = new_challenge();
  std::vector<cms::SignedAttribute> attributes{{kCertificateHash, sha1_of(user.get())}};
  if (!agents.known.empty()) {
    attributes.push_back(
        {kChallengeAttribute, challenge_envelope(envelope, agents.known, made.challenge)});
  }
  if (!compromised.empty())
    attributes.push_back({kCompromisedAttribute, to_bytes(as_bytes(compromised))});
  cms::Signing signing;
  signing.key = signer.key;
  signing.scheme = ossl::choose_scheme(signer.key->public_key(), "", "");
  signing.certificate = signer.certificate;
  signing.chain = all;
  signing.attributes = attributes;
  made.blob = cms::sign(signing, cms::Placing::attached,
                        [&](const auto& take) { take(ByteView(key.blob)); });
  const RecoveryBlob again = read_blob(made.blob, "the recovery blob just made");
  if (!x509::same_certificate(again.user.get(), user.get()))
    throw Error(Kind::internal, "make a recovery blob: it names another certificate");
  return made;
}

RecoveryBlob read_blob(ByteView file, std::string_view input) {
  if (!cms::looks_like_cms(file)) x509::refuse_kind(file, quoted(input), "a recovery blob");
  const std::optional<Bytes> rewritten = as_cms(file, input);
  const ByteView message = rewritten ? ByteView(*rewritten) : file;
  SignedFile read = read_signed_file(message, input);
  const Attributes attributes = attributes_of(message, input);
  RecoveryBlob blob;
  blob.signer = read.signer;
  blob.signer_certificate = std::move(read.certificate);
  for (const auto& certificate : read.certificates) {
    if (equal(sha1_of(certificate.get()), *attributes.certificate_hash))
      blob.user = ossl::share(certificate.get());
  }
  blob.others = std::move(read.certificates);
  if (!blob.user) {
    throw Error(Kind::mismatch,
                fmt::format("read {}: the certificate that its attribute {} names is not in it",
                            quoted(input), kCertificateHash));
  }
  if (rewritten) read.content = cms::der(cms::kSequence, {read.content});
  blob.envelope = read_envelope(content_info_in(read.content, input), input);
  if (attributes.challenge) blob.challenge = read_envelope(*attributes.challenge, input);
  if (attributes.compromised) blob.compromised = printable(as_text(*attributes.compromised));
  blob.sha256 = sha256_of(file);
  return blob;
}

std::vector<X509*> certificates_of(const RecoveryBlob& blob, const cms::Recipient& recipient) {
  std::vector<X509*> all;
  for (const auto& certificate : blob.others) {
    if (cms::names(recipient.name, certificate.get())) all.push_back(certificate.get());
  }
  std::stable_partition(all.begin(), all.end(),
                        [](X509* one) { return unsuitable_because(one, "kra").empty(); });
  return all;
}

}  // namespace hsmith::recovery
