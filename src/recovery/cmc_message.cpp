#include "src/recovery/cmc_message.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/cms/content_info.h"
#include "src/ossl/check.h"

namespace hsmith::recovery {
namespace {

using cms::Element;
using cms::Reader;

constexpr unsigned char kContext0 = cms::context_tag(0) | cms::kConstructed;
constexpr unsigned char kContext1 = cms::context_tag(1) | cms::kConstructed;
constexpr std::string_view kContentType = "1.2.840.113549.1.9.3";
constexpr std::string_view kMessageDigest = "1.2.840.113549.1.9.4";

std::string dotted(const Element& oid) {
  const unsigned char* start = oid.whole.data();
  const ossl::Asn1Object object(
      d2i_ASN1_OBJECT(nullptr, &start, static_cast<long>(oid.whole.size())));
  ossl::check(object != nullptr, "read an object identifier", Kind::malformed);
  char text[128];
  OBJ_obj2txt(text, sizeof text, object.get(), 1);
  return text;
}

const ossl::DigestType& digest_of(const Element& algorithm, Reader& reader) {
  const auto read = cms::read_algorithm(algorithm, "a digest");
  for (const ossl::DigestType& type : ossl::digest_types()) {
    if (EVP_MD_get_type(type.md()) == read.nid && !read.has_parameters()) return type;
  }
  reader.refuse("its digest is none that hsmith has");
}

// rsaEncryption from Windows, sha1WithRSAEncryption and the like from others.
void read_signature_algorithm(CmcMessage& message, const Element& algorithm, Reader& reader) {
  const auto read = cms::read_algorithm(algorithm, "a signature");
  int digest = NID_undef;
  int key = read.nid;
  OBJ_find_sigid_algs(read.nid, &digest, &key);
  message.rsa = key == NID_rsaEncryption;
  const bool known = message.rsa || key == NID_X9_62_id_ecPublicKey;
  const bool fits =
      digest == NID_undef ? message.rsa : digest == EVP_MD_get_type(message.digest->md());
  if (!known || !fits || read.has_parameters())
    reader.refuse("its signature algorithm is none that hsmith has, or contradicts its digest");
}

void read_signer(CmcMessage& message, const Element& info, const ossl::DigestType& listed,
                 const std::string& input) {
  Reader reader(info, "the signer info of " + input);
  const Element version = reader.take(cms::kInteger, "the version");
  const int number = version.content.size() == 1 ? version.content[0] : -1;
  if (reader.tag() == cms::context_tag(0) && number == 3) {
    message.key_identifier = to_bytes(reader.next().content);
  } else {
    if (number != 1) reader.refuse("its version does not fit how the signer is named");
    Reader name(reader.take(cms::kSequence, "the signer's name"), "the signer's name");
    message.issuer = to_bytes(name.take(cms::kSequence, "the issuer").whole);
    message.serial = to_bytes(name.take(cms::kInteger, "the serial number").content);
    name.end();
  }
  message.digest = &digest_of(reader.take(cms::kSequence, "the digest"), reader);
  if (message.digest != &listed) reader.refuse("its digest is not the message's");
  message.signed_attributes = reader.take(kContext0, "the signed attributes");
  read_signature_algorithm(message, reader.take(cms::kSequence, "the algorithm"), reader);
  message.signature = to_bytes(reader.take(cms::kOctetString, "the signature").content);
  message.unsigned_attributes = reader.take_if(kContext1);
  reader.end();
}

void check_signed_attributes(CmcMessage& message, const std::string& input) {
  const auto type = attribute_value(message.signed_attributes, kContentType, input);
  const auto digest = attribute_value(message.signed_attributes, kMessageDigest, input);
  if (!type || type->tag != cms::kOid || dotted(*type) != message.content_type)
    throw Error(Kind::mismatch,
                fmt::format("read {}: the content type that was signed is another", input));
  if (!digest || digest->tag != cms::kOctetString)
    throw Error(Kind::malformed, fmt::format("read {}: no message digest was signed", input));
  message.message_digest = to_bytes(digest->content);
  if (!equal(ossl::digest(*message.digest, message.content), message.message_digest))
    throw Error(Kind::mismatch, fmt::format("read {}: its content is not what was signed", input));
}

}  // namespace

CmcMessage read_cmc_message(ByteView ber, const std::string& input) {
  const cms::ContentInfo info = cms::read_content_info(ber, input);
  if (info.type != cms::ContentType::signed_data || info.content.tag != cms::kSequence)
    throw Error(Kind::malformed, fmt::format("read {}: it is no CMC message", input));
  Reader reader(info.content, "the signed data of " + input);
  const Element version = reader.take(cms::kInteger, "the version");
  if (!equal(version.content, Bytes{3})) reader.refuse("its version is not 3");
  Reader digests(reader.take(cms::kSet, "the digests"), "the digests of " + input);
  const ossl::DigestType& listed = digest_of(digests.take(cms::kSequence, "a digest"), digests);
  digests.end();
  Reader content(reader.take(cms::kSequence, "the content"), "the content of " + input);
  CmcMessage message;
  message.content_type = dotted(content.take(cms::kOid, "its type"));
  Reader octets(content.take(kContext0, "its content"), "the content of " + input);
  const Element string = octets.next();
  if (string.tag != cms::kOctetString) octets.refuse("it is no octet string");
  message.content = to_bytes(string.content);
  octets.end();
  content.end();
  if (const auto set = reader.take_if(kContext0)) {
    for (Reader each(*set, "the certificates of " + input); each.more();)
      message.certificates.push_back(each.take(cms::kSequence, "a certificate"));
  }
  Reader signers(reader.take(cms::kSet, "the signer infos"), "the signer infos of " + input);
  read_signer(message, signers.take(cms::kSequence, "a signer info"), listed, input);
  signers.end();
  reader.end();
  check_signed_attributes(message, input);
  return message;
}

bool is_signed_by(const CmcMessage& message, EVP_PKEY* key) {
  if ((EVP_PKEY_is_a(key, "RSA") == 1) != message.rsa) return false;
  // What is signed is the SET OF, not the [0] in its place (RFC 5652, 5.4).
  Bytes attributes = to_bytes(message.signed_attributes.whole);
  attributes[0] = cms::kSet;
  ossl::Scheme scheme;
  scheme.padding = message.rsa ? ossl::Padding::pkcs1 : ossl::Padding::none;
  scheme.digest = message.digest;
  return ossl::verify(key, scheme, ossl::digest(*message.digest, attributes), message.signature);
}

std::optional<Element> attribute_value(const Element& attributes, std::string_view oid,
                                       const std::string& input) {
  std::optional<Element> found;
  for (Reader each(attributes, "the attributes of " + input); each.more();) {
    Reader attribute(each.take(cms::kSequence, "an attribute"), "an attribute of " + input);
    const bool wanted = dotted(attribute.take(cms::kOid, "its type")) == oid;
    Reader values(attribute.take(cms::kSet, "its values"), "an attribute of " + input);
    attribute.end();
    if (!wanted) continue;
    if (found) each.refuse("one of them stands there twice");
    found = values.next();
    values.end();
  }
  return found;
}

}  // namespace hsmith::recovery
