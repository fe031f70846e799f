#include "src/recovery/cmc.h"

#include <array>
#include <fmt/format.h>
#include <openssl/crypto.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cms/content_info.h"
#include "src/ossl/check.h"
#include "src/recovery/cmc_message.h"
#include "src/x509/certificate.h"
#include "src/x509/extensions.h"
#include "src/x509/input.h"
#include "src/x509/public_key.h"
#include "src/x509/request.h"

namespace hsmith::recovery {
namespace {

using cms::Element;
using cms::Reader;

constexpr std::string_view kAddExtensions = "1.3.6.1.5.5.7.7.8";

std::string control_name(std::string_view oid) {
  static constexpr std::array<std::pair<std::string_view, const char*>, 8> kNames{{
      {kStatusInfo, "statusInfo"},
      {kAddExtensions, "addExtensions"},
      {kRegInfo, "regInfo"},
      {kAddAttributes, "addAttributes"},
      {"1.3.6.1.5.5.7.7.25", "statusInfoV2"},
      {"1.3.6.1.5.5.7.7.5", "transactionId"},
      {"1.3.6.1.5.5.7.7.6", "senderNonce"},
      {"1.3.6.1.5.5.7.7.7", "recipientNonce"},
  }};
  for (const auto& [known, name] : kNames) {
    if (known == oid) return name;
  }
  return "";
}

std::string oid_of(const Element& oid) {
  const unsigned char* start = oid.whole.data();
  const ossl::Asn1Object object(
      d2i_ASN1_OBJECT(nullptr, &start, static_cast<long>(oid.whole.size())));
  ossl::check(object != nullptr, "read an object identifier", Kind::malformed);
  return x509::oid_text(object.get());
}

std::string text_of(const Element& element) { return printable(as_text(element.content)); }

// TaggedAttribute: what all controls have, and the one value of each.
struct Control {
  CmcControl named;
  Element value;
};

Control read_control(const Element& element, const std::string& input) {
  Reader reader(element, "a control of " + input);
  Control control;
  control.named.body_part = hex(reader.take(cms::kInteger, "its number").content);
  control.named.oid = oid_of(reader.take(cms::kOid, "its type"));
  control.named.name = control_name(control.named.oid);
  Reader values(reader.take(cms::kSet, "its values"), "a control of " + input);
  control.value = values.next();
  values.end();
  reader.end();
  return control;
}

std::vector<Control> read_controls(const Element& sequence, const std::string& input) {
  std::vector<Control> controls;
  for (Reader each(sequence, "the controls of " + input); each.more();)
    controls.push_back(read_control(each.take(cms::kSequence, "a control"), input));
  return controls;
}

// What follows the references of addExtensions and addAttributes.
Element after_references(const Element& value, const std::string& input) {
  Reader reader(value, "a control of " + input);
  reader.take(cms::kInteger, "the reference");
  reader.take(cms::kSequence, "the certificates it is about");
  const Element rest = reader.next();
  reader.end();
  return rest;
}

std::vector<std::string> oids_of(const Element& list, const std::string& input) {
  std::vector<std::string> oids;
  for (Reader each(list, "a control of " + input); each.more();) {
    Reader one(each.take(cms::kSequence, "an entry"), "a control of " + input);
    oids.push_back(oid_of(one.take(cms::kOid, "its type")));
  }
  return oids;
}

Bytes octets_attribute(const Element& attributes, std::string_view oid, const std::string& input) {
  const auto value = attribute_value(attributes, oid, input);
  if (!value) return {};
  if (value->tag != cms::kOctetString || value->content.empty())
    throw Error(Kind::malformed, fmt::format("read {}: the attribute {} is no octets", input, oid));
  return to_bytes(value->content);
}

// The SKI that the request asks for, or SHA-1 of its key: how its signer is named.
bool names_key(const CmcMessage& message, X509_REQ* request) {
  const auto facts = x509::request_facts(request);
  const Bytes by_key = ossl::key_identifier(x509::public_key_of(request));
  return !message.key_identifier.empty() &&
         (facts.extensions.subject_key_id == hex(message.key_identifier) ||
          equal(by_key, message.key_identifier));
}

// Of the length of one of the digests; Windows 2003 has SHA-1 always.
const ossl::DigestType* digest_of_size(std::size_t size) {
  for (const ossl::DigestType& type : ossl::digest_types()) {
    if (type.size == size && std::string_view(type.name).starts_with("sha")) return &type;
  }
  return nullptr;
}

constexpr const char* kBadArchival = "(CERTSRV_E_BAD_REQUEST_KEY_ARCHIVAL 0x8009400C)";

// Exactly one attribute, the archived key, with one value.
Element archived_key_value(const CmcMessage& message, const std::string& input) {
  std::size_t count = 0;
  Reader attributes(*message.unsigned_attributes, "the unsigned attributes of " + input);
  for (; attributes.more(); ++count) attributes.next();
  std::optional<Element> value;
  try {
    value = attribute_value(*message.unsigned_attributes, kArchivedKey, input);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{} {}", error.what(), kBadArchival));
  }
  if (count == 1 && value) return *value;
  throw Error(
      Kind::malformed,
      fmt::format("read {}: it has {} unsigned attributes, expected one, an archived key {}", input,
                  count, kBadArchival));
}

ArchivedKey read_archived_key_attribute(const CmcMessage& message, const Bytes& hash,
                                        const std::string& input) {
  const Element value = archived_key_value(message, input);
  ArchivedKey key;
  key.content_info = to_bytes(value.whole);
  key.hash = hash;
  const ossl::DigestType* type = digest_of_size(hash.size());
  const Bytes made = type != nullptr ? ossl::digest(*type, key.content_info) : Bytes{};
  if (made.empty() || CRYPTO_memcmp(made.data(), hash.data(), made.size()) != 0) {
    throw Error(Kind::mismatch,
                fmt::format("read {}: the archived key is not the one whose hash was signed {}",
                            input, kBadArchival));
  }
  key.envelope = read_envelope(key.content_info, "the archived key");
  return key;
}

ClientInfo client_info(const Element& value, const std::string& input) {
  Reader reader(value, "the client info of " + input);
  ClientInfo info;
  info.id = hex(reader.take(cms::kInteger, "its number").content);
  const auto claim = [&] { return std::string(as_text(reader.next().content).substr(0, 256)); };
  info.machine = claim();
  info.user = claim();
  info.process = claim();
  reader.end();
  return info;
}

// Newer clients say it among the PKCS#10's attributes.
std::optional<ClientInfo> client_info(X509_REQ* request, const std::string& input) {
  const ossl::Asn1Object type(OBJ_txt2obj(std::string(kClientInfo).c_str(), 1));
  const int at = X509_REQ_get_attr_by_OBJ(request, type.get(), -1);
  if (at < 0) return std::nullopt;
  const auto* value = static_cast<const ASN1_STRING*>(
      X509_ATTRIBUTE_get0_data(X509_REQ_get_attr(request, at), 0, V_ASN1_SEQUENCE, nullptr));
  ossl::clear_errors();
  if (value == nullptr) return std::nullopt;
  const ByteView der(ASN1_STRING_get0_data(value),
                     static_cast<std::size_t>(ASN1_STRING_length(value)));
  cms::check_ber(der, input);
  return client_info(Reader(der, input).take(cms::kSequence, "the client info"), input);
}

Bytes read_tagged_request(const Element& sequence, const std::string& input) {
  Reader requests(sequence, "the requests of " + input);
  Reader tagged(requests.take(cms::context_tag(0) | cms::kConstructed, "a PKCS#10"),
                "the request of " + input);
  tagged.take(cms::kInteger, "its number");
  const Element request = tagged.take(cms::kSequence, "the PKCS#10");
  tagged.end();
  requests.end();  // exactly one
  return to_bytes(request.whole);
}

// What newer clients ask for in the PKCS#10, those of Windows 2003 ask for here.
void take_added_extensions(CmcRequest& request, const Element& list, const std::string& input) {
  request.extensions = oids_of(list, input);
  const unsigned char* start = list.whole.data();
  const ossl::Extensions extensions(
      d2i_X509_EXTENSIONS(nullptr, &start, static_cast<long>(list.whole.size())));
  ossl::check(extensions != nullptr, "read the extensions that " + input + " adds",
              Kind::malformed);
  x509::ExtensionFacts facts = x509::read_extensions(extensions.get());
  request.added_key_usage = std::move(facts.key_usage);
  request.added_purposes = std::move(facts.extended_key_usage);
}

void read_pki_data(CmcRequest& request, Bytes& hash, const Bytes& content,
                   const std::string& input) {
  cms::check_ber(content, input);
  const Element data = Reader(content, input).take(cms::kSequence, "the PKIData");
  Reader reader(data, "the PKIData of " + input);
  for (const Control& control : read_controls(reader.take(cms::kSequence, "the controls"), input)) {
    request.controls.push_back(control.named);
    if (control.named.oid == kRegInfo) request.registration = text_of(control.value);
    if (control.named.oid == kAddExtensions)
      take_added_extensions(request, after_references(control.value, input), input);
    if (control.named.oid == kAddAttributes) {
      const Element attributes = after_references(control.value, input);
      for (std::string& oid : oids_of(attributes, input))
        request.attributes.push_back(std::move(oid));
      Bytes found = octets_attribute(attributes, kEncryptedKeyHash, input);
      if (!hash.empty() && !found.empty()) reader.refuse("it names the archived key's hash twice");
      if (!found.empty()) hash = std::move(found);
    }
  }
  request.request_der = read_tagged_request(reader.take(cms::kSequence, "the requests"), input);
  Reader(reader.take(cms::kSequence, "the CMS sequence"), "the CMS sequence of " + input).end();
  Reader(reader.take(cms::kSequence, "the other messages"), "the other messages of " + input).end();
  reader.end();
}

bool is_cmc(ByteView ber, std::string_view content_type) {
  if (!cms::looks_like_cms(ber)) return false;
  try {
    const cms::ContentInfo info = cms::read_content_info(ber, "the file");
    if (info.type != cms::ContentType::signed_data) return false;
    Reader reader(info.content, "the file");
    reader.take(cms::kInteger, "the version");
    reader.take(cms::kSet, "the digests");
    return oid_of(Reader(reader.take(cms::kSequence, "the content"), "the file")
                      .take(cms::kOid, "its type")) == content_type;
  } catch (const Error&) {
    return false;
  }
}

void read_pki_response(CmcResponse& response, const Bytes& content, const std::string& input) {
  cms::check_ber(content, input);
  const Element data = Reader(content, input).take(cms::kSequence, "the PKIResponse");
  Reader reader(data, "the PKIResponse of " + input);
  for (const Control& control : read_controls(reader.take(cms::kSequence, "the controls"), input)) {
    response.controls.push_back(control.named);
    if (control.named.oid == kStatusInfo) {
      Reader status(control.value, "the status of " + input);
      const Element number = status.take(cms::kInteger, "its number");
      response.status = number.content.size() == 1 ? number.content[0] : -1;
      status.take(cms::kSequence, "what it is about");
      if (const auto text = status.take_if(0x0c)) response.status_text = text_of(*text);
    }
    if (control.named.oid == kAddAttributes) {
      const Element attributes = after_references(control.value, input);
      response.issued_hash = octets_attribute(attributes, kIssuedCertHash, input);
      response.archived_key_hash = octets_attribute(attributes, kEncryptedKeyHash, input);
    }
  }
  Reader(reader.take(cms::kSequence, "the CMS sequence"), "the CMS sequence of " + input).end();
  Reader(reader.take(cms::kSequence, "the other messages"), "the other messages of " + input).end();
  reader.end();
}

bool is_named(const CmcMessage& message, X509* certificate) {
  const Bytes issuer = ossl::der_of(i2d_X509_NAME, X509_get_issuer_name(certificate));
  const Bytes serial = ossl::der_of(i2d_ASN1_INTEGER, X509_get0_serialNumber(certificate));
  return equal(issuer, message.issuer) && serial.size() > 2 &&
         equal(ByteView(serial).subspan(2), message.serial);
}

// Each certificate was signed by one of those that came along.
void check_signatures(const std::vector<ossl::Certificate>& certificates,
                      const std::string& input) {
  for (const auto& certificate : certificates) {
    bool good = false;
    for (const auto& issuer : certificates) {
      good = good || (X509_check_issued(issuer.get(), certificate.get()) == X509_V_OK &&
                      X509_verify(certificate.get(), X509_get0_pubkey(issuer.get())) == 1);
    }
    ossl::clear_errors();
    if (good) continue;
    throw Error(Kind::mismatch,
                fmt::format("read {}: the signature of the certificate of {} does not verify",
                            input, x509::certificate_facts(certificate.get()).subject));
  }
}

}  // namespace

Bytes cmc_of(ByteView file, const std::string& input) {
  if (!x509::looks_like_pem(file)) return to_bytes(file);
  std::vector<x509::PemBlock> blocks = x509::pem_blocks(file, input);
  return blocks.size() == 1 ? std::move(blocks.front().der) : Bytes{};
}

bool is_cmc_request(ByteView ber) { return is_cmc(ber, kPkiData); }
bool is_cmc_response(ByteView ber) { return is_cmc(ber, kPkiResponse); }

CmcRequest read_cmc_request(ByteView ber, const std::string& input) {
  const CmcMessage message = read_cmc_message(ber, input);
  if (message.content_type != kPkiData || !message.certificates.empty())
    throw Error(Kind::malformed, fmt::format("read {}: it is no CMC request", input));
  CmcRequest request;
  Bytes hash;
  read_pki_data(request, hash, message.content, input);
  request.request = x509::parse_request(request.request_der, input);
  EVP_PKEY* key = x509::public_key_of(request.request.get());
  const auto refuse = [&](const char* cause) {
    return Error(Kind::mismatch, fmt::format("read {}: {}", input, cause));
  };
  if (!x509::request_signature_ok(request.request.get()))
    throw refuse("its PKCS#10 is not signed by its own key");
  if (!names_key(message, request.request.get()))
    throw refuse("its signer is not the key of its PKCS#10");
  if (!is_signed_by(message, key)) throw refuse("its signature is not by the key of its PKCS#10");
  if (const auto info = attribute_value(message.signed_attributes, kClientInfo, input))
    request.client = client_info(*info, input);
  if (!request.client) request.client = client_info(request.request.get(), input);
  if (message.unsigned_attributes) {
    request.archived_key = read_archived_key_attribute(message, hash, input);
  } else if (!hash.empty()) {
    throw refuse(
        "it names the hash of an archived key that is not in it "
        "(CERTSRV_E_BAD_REQUEST_KEY_ARCHIVAL 0x8009400C)");
  }
  request.digest = message.digest->name;
  request.message_digest = hex(message.message_digest);
  return request;
}

CmcResponse read_cmc_response(ByteView ber, const std::string& input) {
  const CmcMessage message = read_cmc_message(ber, input);
  if (message.content_type != kPkiResponse || message.unsigned_attributes)
    throw Error(Kind::malformed, fmt::format("read {}: it is no CMC response", input));
  CmcResponse response;
  read_pki_response(response, message.content, input);
  X509* signer = nullptr;
  for (const Element& element : message.certificates) {
    response.certificates.push_back(x509::certificate_from_der(element.whole, input));
    X509* certificate = response.certificates.back().get();
    if (is_named(message, certificate)) signer = certificate;
    const Bytes sha1 = ossl::digest(ossl::digest_named("sha1"), element.whole);
    if (equal(sha1, response.issued_hash)) response.issued = ossl::share(certificate);
  }
  const auto refuse = [&](const char* cause) {
    return Error(Kind::mismatch, fmt::format("read {}: {}", input, cause));
  };
  if (signer == nullptr) throw refuse("its signer's certificate is not in it");
  if (!is_signed_by(message, x509::public_key_of(signer)))
    throw refuse("its signature does not verify");
  if (!response.issued_hash.empty() && !response.issued)
    throw refuse("the certificate whose hash it names is not in it");
  if (response.issued && X509_verify(response.issued.get(), X509_get0_pubkey(signer)) != 1)
    throw refuse("the issued certificate is not by the signer of the response");
  check_signatures(response.certificates, input);
  response.signer = x509::certificate_facts(signer).subject;
  response.authority = ossl::share(signer);
  response.digest = message.digest->name;
  response.message_digest = hex(message.message_digest);
  return response;
}

}  // namespace hsmith::recovery
