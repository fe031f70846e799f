#include "src/recovery/cmc_write.h"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

#include "src/base/error.h"
#include "src/cms/ber.h"
#include "src/cms/der.h"
#include "src/ossl/check.h"
#include "src/recovery/archive.h"
#include "src/recovery/envelope.h"
#include "src/recovery/private_key_blob.h"
#include "src/x509/certificate.h"

namespace hsmith::recovery {
namespace {

using cms::der;
using cms::kInteger;
using cms::kOctetString;
using cms::kSequence;
using cms::kSet;

constexpr unsigned char kUtf8String = 0x0c;
constexpr unsigned char kClientId[]{0x03, 0xe9};  // 1001: none that [MS-WCCE] reserves
constexpr unsigned char kContext0 = cms::context_tag(0) | cms::kConstructed;
constexpr unsigned char kContext1 = cms::context_tag(1) | cms::kConstructed;

Bytes oid(std::string_view dotted) {
  const ossl::Asn1Object object(OBJ_txt2obj(std::string(dotted).c_str(), 1));
  ossl::check(object != nullptr, "encode an OID");
  return ossl::der_of(i2d_ASN1_OBJECT, object.get());
}

Bytes integer(unsigned char value) { return der(kInteger, {Bytes{value}}); }

Bytes joined(const std::vector<Bytes>& elements) {
  Bytes all;
  for (const Bytes& one : elements) all.insert(all.end(), one.begin(), one.end());
  return all;
}

// DER: the elements of a SET OF in the order of their encodings (X.690, 11.6).
Bytes set_of(unsigned char tag, std::vector<Bytes> elements) {
  std::sort(elements.begin(), elements.end());
  return der(tag, {joined(elements)});
}

Bytes attribute(std::string_view type, ByteView value) {
  return der(kSequence, {oid(type), der(kSet, {value})});
}

Bytes octets_attribute(std::string_view type, ByteView octets) {
  return attribute(type, der(kOctetString, {octets}));
}

// TaggedAttribute (RFC 5272, 3.2.1.1).
Bytes control(unsigned char body_part, std::string_view type, ByteView value) {
  return der(kSequence, {integer(body_part), oid(type), der(kSet, {value})});
}

// Windows's addAttributes: about the request, whose body part is 1.
Bytes add_attributes(unsigned char body_part, std::vector<Bytes> attributes) {
  return control(body_part, kAddAttributes,
                 der(kSequence, {integer(0), der(kSequence, {integer(1)}),
                                 set_of(kSet, std::move(attributes))}));
}

// [MS-WCCE] 2.2.2.7.4.
Bytes client_info(const ClientInfo& client) {
  const auto text = [](const std::string& value) { return der(kUtf8String, {as_bytes(value)}); };
  return attribute(kClientInfo,
                   der(kSequence, {der(kInteger, {ByteView(kClientId)}), text(client.machine),
                                   text(client.user), text(client.process)}));
}

struct Message {
  std::string_view content_type;
  Bytes content;
  std::vector<Bytes> certificates;
  unsigned char version = 1;  // of the signer info: 1 by issuer and serial number, 3 by key
  Bytes signer;               // its name
  Bytes signed_attribute;     // besides those that every message has; may be empty
  Bytes unsigned_attribute;   // may be empty
};

// SignedData (RFC 5652, 5.1) with one signer.
Bytes signed_message(const Message& message, ossl::RemoteKey& signer) {
  EVP_PKEY* key = signer.public_key();
  const ossl::Scheme scheme = ossl::choose_scheme(key, "", "");
  if (scheme.digest == nullptr) {
    throw Error(Kind::unsupported, "sign a CMC message: Ed25519 keys sign none")
        .hint("take an RSA or EC key");
  }
  const Bytes algorithm = cms::der_algorithm(EVP_MD_get_type(scheme.digest->md()));
  std::vector<Bytes> signed_attributes{
      attribute("1.2.840.113549.1.9.3", oid(message.content_type)),
      octets_attribute("1.2.840.113549.1.9.4", ossl::digest(*scheme.digest, message.content))};
  if (!message.signed_attribute.empty()) signed_attributes.push_back(message.signed_attribute);
  const Bytes attributes = set_of(kSet, std::move(signed_attributes));
  const Bytes signature = signer.sign(scheme, ossl::digest(*scheme.digest, attributes));
  Bytes implicit = attributes;  // [0] in the message, SET OF where it is signed
  implicit[0] = kContext0;
  Bytes info = joined({integer(message.version), message.signer, algorithm, implicit,
                       ossl::algorithm_identifier(key, scheme), der(kOctetString, {signature})});
  if (!message.unsigned_attribute.empty())
    info = joined({info, der(kContext1, {message.unsigned_attribute})});
  const Bytes content = der(kSequence, {oid(message.content_type),
                                        der(kContext0, {der(kOctetString, {message.content})})});
  const Bytes certificates =
      message.certificates.empty() ? Bytes{} : set_of(kContext0, message.certificates);
  const Bytes data = der(kSequence, {integer(3), der(kSet, {algorithm}), content, certificates,
                                     der(kSet, {der(kSequence, {info})})});
  return der(kSequence, {cms::der_oid(NID_pkcs7_signed), der(kContext0, {data})});
}

// What nobody who made it may give out without having read it.
[[noreturn]] void refuse_made(const char* cause) {
  throw Error(Kind::mismatch, fmt::format("check the CMC message just made: {}", cause));
}

}  // namespace

Bytes make_cmc_request(const ArchivalRequest& what,
                       const std::shared_ptr<ossl::RemoteKey>& signer) {
  const ossl::Scheme scheme = ossl::choose_scheme(signer->public_key(), "", "");
  const EnvelopeTo to{what.exchange, kPkcs1};  // the one padding that every Windows CA undoes
  const Bytes envelope = make_envelope(archived_form(what.key).reveal(), {&to, 1});
  const Bytes hash = ossl::digest(*scheme.digest, envelope);
  std::vector<Bytes> controls{add_attributes(2, {octets_attribute(kEncryptedKeyHash, hash)})};
  if (!what.template_name.empty()) {
    const std::string text = "CertificateTemplate=" + what.template_name + "&";
    controls.push_back(control(3, kRegInfo, der(kOctetString, {as_bytes(text)})));
  }
  Message message;
  message.content_type = kPkiData;
  message.content = der(kSequence, {der(kSequence, {joined(controls)}),
                                    der(kSequence, {der(kContext0, {integer(1), what.request})}),
                                    der(kSequence, {}), der(kSequence, {})});
  message.version = 3;
  message.signer = der(cms::context_tag(0), {ossl::key_identifier(signer->public_key())});
  if (what.client) message.signed_attribute = client_info(*what.client);
  message.unsigned_attribute = attribute(kArchivedKey, envelope);
  Bytes made = signed_message(message, *signer);
  const CmcRequest again = read_cmc_request(made, "the CMC request just made");
  if (!again.archived_key || again.archived_key->content_info != envelope ||
      again.archived_key->hash != hash || !equal(again.request_der, what.request))
    refuse_made("it is not what was put into it");
  return made;
}

Bytes make_cmc_response(const IssuedAnswer& answer,
                        const std::shared_ptr<ossl::RemoteKey>& signer) {
  const Bytes issued = x509::certificate_der(answer.issued);
  const Bytes sha1 = ossl::digest(ossl::digest_named("sha1"), issued);
  const Bytes status = control(1, kStatusInfo,
                               der(kSequence, {integer(0), der(kSequence, {integer(1)}),
                                               der(kUtf8String, {as_bytes("Issued")})}));
  const Bytes hashes =
      add_attributes(2, {octets_attribute(kIssuedCertHash, sha1),
                         octets_attribute(kEncryptedKeyHash, answer.archived_key_hash)});
  Message message;
  message.content_type = kPkiResponse;
  message.content =
      der(kSequence, {der(kSequence, {status, hashes}), der(kSequence, {}), der(kSequence, {})});
  message.certificates = {issued, x509::certificate_der(answer.authority)};
  for (const auto& link : answer.chain)
    message.certificates.push_back(x509::certificate_der(link.get()));
  message.signer =
      der(kSequence, {ossl::der_of(i2d_X509_NAME, X509_get_issuer_name(answer.authority)),
                      ossl::der_of(i2d_ASN1_INTEGER, X509_get0_serialNumber(answer.authority))});
  Bytes made = signed_message(message, *signer);
  const CmcResponse again = read_cmc_response(made, "the CMC response just made");
  if (again.status != 0 || !x509::same_certificate(again.issued.get(), answer.issued) ||
      again.archived_key_hash != answer.archived_key_hash ||
      !x509::same_certificate(again.authority.get(), answer.authority))
    refuse_made("it is not what was put into it");
  return made;
}

}  // namespace hsmith::recovery
