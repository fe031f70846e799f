#include "src/cms/signed_data.h"

#include <algorithm>
#include <fmt/format.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <set>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/name.h"

namespace hsmith::cms {
namespace {

constexpr std::size_t kMostSigners = 100;
constexpr std::size_t kMostCertificates = 1000;
// Each makes OpenSSL hash the whole content once more.
constexpr std::size_t kMostDigests = 8;

constexpr unsigned char kContext0 = context_tag(0) | kConstructed;
constexpr unsigned char kContext1 = context_tag(1) | kConstructed;

// A small number, as versions are.
int small_number(const Element& element, const Reader& reader) {
  if (element.content.size() != 1 || element.content[0] > 0x7f) {
    reader.refuse("its version is none that exists");
  }
  return element.content[0];
}

const ossl::DigestType& digest_of(const Element& element, std::string_view what) {
  const Algorithm algorithm = read_algorithm(element, what);
  if (algorithm.has_parameters()) {
    throw Error(Kind::malformed, fmt::format("read {}: a digest has no parameters", what));
  }
  for (const ossl::DigestType& type : ossl::digest_types()) {
    if (EVP_MD_get_type(type.md()) == algorithm.nid) return type;
  }
  const char* name = algorithm.nid != NID_undef ? OBJ_nid2sn(algorithm.nid) : "one unknown to it";
  throw Error(Kind::unsupported,
              fmt::format("read {}: hsmith verifies no digest of this kind ({})", what, name));
}

std::vector<const ossl::DigestType*> read_digests(const Element& set, std::string_view what) {
  std::vector<const ossl::DigestType*> digests;
  for (Reader reader(set, what); reader.more();) {
    const ossl::DigestType* digest = &digest_of(reader.take(kSequence, "a digest"), what);
    if (std::find(digests.begin(), digests.end(), digest) != digests.end()) {
      reader.refuse("a digest stands there twice");
    }
    digests.push_back(digest);
    if (digests.size() > kMostDigests) reader.refuse("too many digests");
  }
  return digests;
}

// The digest that a signature algorithm's own name says; nullptr: it says none.
const EVP_MD* digest_in_name(int nid, int* key_nid) {
  int digest = NID_undef;
  if (OBJ_find_sigid_algs(nid, &digest, key_nid) != 1) return nullptr;
  return digest == NID_undef ? nullptr : EVP_get_digestbynid(digest);
}

// RSASSA-PSS-params (RFC 4055, 3.1): there, and for the digest of the signer info.
void check_pss(const Algorithm& algorithm, const ossl::DigestType& digest, const Reader& reader) {
  if (!algorithm.has_parameters() || algorithm.parameters->tag != kSequence) {
    reader.refuse("RSA-PSS without its parameters");
  }
  Reader parameters(*algorithm.parameters, "the PSS parameters");
  int hash = NID_sha1;
  if (const auto explicit_hash = parameters.take_if(kContext0)) {
    Reader inner(*explicit_hash, "the PSS digest");
    hash = read_algorithm(inner.take(kSequence, "the digest"), "the PSS digest").nid;
    inner.end();
  }
  if (hash != EVP_MD_get_type(digest.md()))
    reader.refuse("RSA-PSS with another digest than its own");
  if (const auto explicit_mask = parameters.take_if(kContext1)) {
    Reader inner(*explicit_mask, "the PSS mask");
    const Algorithm mask =
        read_algorithm(inner.take(kSequence, "the mask function"), "the PSS mask");
    if (mask.nid != NID_mgf1 || !mask.has_parameters()) inner.refuse("it is not MGF1");
    if (read_algorithm(*mask.parameters, "the MGF1 digest").nid == NID_undef) {
      inner.refuse("its digest is unknown");
    }
    inner.end();
  }
  if (const auto salt = parameters.take_if(context_tag(2) | kConstructed)) {
    Reader inner(*salt, "the PSS salt length");
    const Element length = inner.take(kInteger, "the length");
    if (length.content.empty() || length.content.size() > 2 || length.content[0] > 0x7f) {
      inner.refuse("it is out of range");
    }
    inner.end();
  }
  if (const auto trailer = parameters.take_if(context_tag(3) | kConstructed)) {
    Reader inner(*trailer, "the PSS trailer");
    if (small_number(inner.take(kInteger, "the trailer"), inner) != 1) inner.refuse("it is not 1");
    inner.end();
  }
  parameters.end();
}

// The signature algorithm must be one that goes with the digest: OpenSSL does not look.
void read_signature_algorithm(const Element& element, SignerInfo& signer, const Reader& reader) {
  const Algorithm algorithm = read_algorithm(element, "the signature algorithm");
  signer.pss = algorithm.nid == NID_rsassaPss;
  if (signer.pss) return check_pss(algorithm, *signer.digest, reader);
  if (algorithm.nid == NID_ED25519 || algorithm.nid == NID_ED448) {
    throw Error(Kind::unsupported,
                "verify a CMS message: OpenSSL 3.0 knows no CMS signature with Ed25519")
        .hint("raw and JWS signatures with Ed25519 can be verified");
  }
  // "RSA" and "EC" alone leave the digest to the signer info (RFC 3370, 3.2).
  const bool plain =
      algorithm.nid == NID_rsaEncryption || algorithm.nid == NID_X9_62_id_ecPublicKey;
  int key_nid = algorithm.nid;
  const EVP_MD* named = plain ? nullptr : digest_in_name(algorithm.nid, &key_nid);
  if (!plain && named == nullptr) {
    throw Error(
        Kind::unsupported,
        fmt::format("verify a CMS message: hsmith does not verify signatures of the kind {}",
                    algorithm.nid == NID_undef ? "unknown" : OBJ_nid2sn(algorithm.nid)));
  }
  if (named != nullptr && EVP_MD_get_type(named) != EVP_MD_get_type(signer.digest->md())) {
    reader.refuse("its signature algorithm names another digest than the signer info");
  }
  const bool ec = key_nid == NID_X9_62_id_ecPublicKey;
  if (algorithm.has_parameters() && !(ec && plain)) {
    reader.refuse("its signature algorithm has parameters that it cannot have");
  }
}

std::optional<std::time_t> time_of(const Element& value) {
  const unsigned char* at = value.whole.data();
  using Time = std::unique_ptr<ASN1_TIME, ossl::Deleter<ASN1_TIME_free>>;
  const Time time(d2i_ASN1_TIME(nullptr, &at, static_cast<long>(value.whole.size())));
  ossl::clear_errors();
  std::tm utc{};
  if (time == nullptr || ASN1_TIME_to_tm(time.get(), &utc) != 1) return std::nullopt;
  return timegm(&utc);
}

// One attribute of SignedAttributes: known ones have one value each (RFC 5652, 11).
void read_attribute(int nid, const Element& values, const Element& content_type,
                    SignerInfo& signer) {
  Reader reader(values, "a signed attribute");
  const Element value = reader.next();
  const bool known = nid == NID_pkcs9_contentType || nid == NID_pkcs9_messageDigest ||
                     nid == NID_pkcs9_signingTime || nid == NID_id_smime_aa_signingCertificate ||
                     nid == NID_id_smime_aa_signingCertificateV2;
  if (known) reader.end();
  switch (nid) {
    case NID_pkcs9_contentType:
      if (!equal(value.whole, content_type.whole)) {
        reader.refuse("the content type that was signed is not the message's");
      }
      return;
    case NID_pkcs9_messageDigest:
      if (value.tag != kOctetString || value.content.size() != signer.digest->size) {
        reader.refuse("the digest that was signed is none of its kind");
      }
      return;
    case NID_pkcs9_signingTime:
      signer.signing_time = time_of(value);
      if (!signer.signing_time) reader.refuse("the signing time is none");
      return;
    case NID_id_smime_aa_signingCertificate:
      signer.signing_certificate = value;
      return;
    case NID_id_smime_aa_signingCertificateV2:
      signer.signing_certificate_v2 = value;
      return;
    default:
      return;
  }
}

void read_signed_attributes(const Element& attributes, const Element& content_type,
                            SignerInfo& signer) {
  signer.has_signed_attributes = true;
  std::set<std::string_view> seen;
  bool has_type = false;
  bool has_digest = false;
  Reader reader(attributes, "the signed attributes");
  while (reader.more()) {
    Reader attribute(reader.take(kSequence, "an attribute"), "a signed attribute");
    const Element type = attribute.take(kOid, "its type");
    if (!seen.insert(as_text(type.content)).second) reader.refuse("one of them stands there twice");
    const int nid = nid_of(type);
    has_type |= nid == NID_pkcs9_contentType;
    has_digest |= nid == NID_pkcs9_messageDigest;
    read_attribute(nid, attribute.take(kSet, "its value"), content_type, signer);
    attribute.end();
  }
  if (!has_type || !has_digest) reader.refuse("content type or message digest is not among them");
}

void read_name(Reader& reader, int version, SignerInfo& signer) {
  if (version == 3) {
    signer.name.key_identifier = reader.take(context_tag(0), "its key identifier").content;
    return;
  }
  Reader name(reader.take(kSequence, "issuer and serial number"), "the signer's name");
  signer.name.issuer = name.take(kSequence, "the issuer").whole;
  signer.name.serial = name.take(kInteger, "the serial number").content;
  name.end();
}

SignerInfo read_signer(const Element& element, const Element& content_type,
                       const std::vector<const ossl::DigestType*>& digests) {
  Reader reader(element, "a signer info");
  SignerInfo signer;
  const int version = small_number(reader.take(kInteger, "its version"), reader);
  if (version != 1 && version != 3) reader.refuse("its version is none that exists");
  read_name(reader, version, signer);
  signer.digest = &digest_of(reader.take(kSequence, "its digest"), "a signer info's digest");
  if (std::find(digests.begin(), digests.end(), signer.digest) == digests.end()) {
    reader.refuse(fmt::format("its digest {} is not among the message's", signer.digest->name));
  }
  if (const auto attributes = reader.take_if(kContext0)) {
    read_signed_attributes(*attributes, content_type, signer);
  } else if (nid_of(content_type) != NID_pkcs7_data) {
    reader.refuse("without signed attributes the content must be of the type data");
  }
  read_signature_algorithm(reader.take(kSequence, "its signature algorithm"), signer, reader);
  if (reader.take(kOctetString, "its signature").content.empty()) {
    reader.refuse("its signature is empty");
  }
  if (const auto unsigned_attributes = reader.take_if(kContext1)) {
    for (Reader each(*unsigned_attributes, "the unsigned attributes"); each.more();) {
      Reader attribute(each.take(kSequence, "an attribute"), "an unsigned attribute");
      attribute.take(kOid, "its type");
      attribute.take(kSet, "its values");
      attribute.end();
    }
  }
  reader.end();
  return signer;
}

// [0] CertificateSet and [1] RevocationInfoChoices.
std::vector<Element> read_certificates(Reader& reader) {
  std::vector<Element> certificates;
  if (const auto set = reader.take_if(kContext0)) {
    for (Reader each(*set, "the message's certificates"); each.more();) {
      const Element one = each.next();
      if (!one.is_constructed()) each.refuse("one of them is none");
      if (one.tag == kSequence) certificates.push_back(one);
      if (certificates.size() > kMostCertificates) {
        throw Error(
            Kind::unsupported,
            fmt::format("read a CMS message: it has more than {} certificates", kMostCertificates));
      }
    }
  }
  if (const auto lists = reader.take_if(kContext1)) {
    for (Reader each(*lists, "the message's revocation lists"); each.more();) {
      if (!each.next().is_constructed()) each.refuse("one of them is none");
    }
  }
  return certificates;
}

// RFC 5652, 5.1; PKCS#7 has 1 whatever the content is.
void check_version(int version, bool plain_data, bool key_identifiers, const Reader& reader) {
  const int wanted = plain_data && !key_identifiers ? 1 : 3;
  if (version == wanted || (version == 1 && !key_identifiers)) return;
  reader.refuse(fmt::format("its version is {}, not {}", version, wanted));
}

}  // namespace

SignedData read_signed_data(const Element& content, std::string_view input) {
  const std::string name = quoted(input);
  if (content.tag != kSequence) {
    throw Error(Kind::malformed, fmt::format("read {}: the signed data is no structure", name));
  }
  Reader reader(content, name);
  const int version = small_number(reader.take(kInteger, "the version"), reader);
  const auto digests =
      read_digests(reader.take(kSet, "the list of digests"), "the list of digests");
  Reader inner(reader.take(kSequence, "the content"), name);
  const Element content_type = inner.take(kOid, "the content's type");
  SignedData data;
  if (const auto explicit_content = inner.take_if(kContext0)) {
    Reader octets(*explicit_content, name);
    data.content = octets.next();
    octets.end();
    if ((data.content->tag & ~kConstructed) != kOctetString) {
      octets.refuse("its content is no octet string");
    }
  }
  inner.end();
  data.certificates = read_certificates(reader);
  std::set<std::string_view> seen;
  for (Reader infos(reader.take(kSet, "the signer infos"), name); infos.more();) {
    if (data.signers.size() == kMostSigners) {
      throw Error(Kind::unsupported,
                  fmt::format("read {}: it has more than {} signers", name, kMostSigners));
    }
    const Element info = infos.take(kSequence, "a signer info");
    if (!seen.insert(as_text(info.whole)).second) infos.refuse("a signer info stands there twice");
    data.signers.push_back(read_signer(info, content_type, digests));
  }
  reader.end();
  if (data.signers.empty()) reader.refuse("nobody signed it");
  const bool key_identifiers =
      std::any_of(data.signers.begin(), data.signers.end(),
                  [](const SignerInfo& signer) { return !signer.name.key_identifier.empty(); });
  check_version(version, nid_of(content_type) == NID_pkcs7_data, key_identifiers, reader);
  return data;
}

bool names(const SignerName& name, X509* certificate) {
  if (name.issuer.empty()) {
    const ASN1_OCTET_STRING* id = X509_get0_subject_key_id(certificate);
    return id != nullptr && !name.key_identifier.empty() &&
           equal({ASN1_STRING_get0_data(id), static_cast<std::size_t>(ASN1_STRING_length(id))},
                 name.key_identifier);
  }
  const Bytes issuer = ossl::der_of(i2d_X509_NAME, X509_get_issuer_name(certificate));
  const Bytes serial = ossl::der_of(i2d_ASN1_INTEGER, X509_get0_serialNumber(certificate));
  return equal(issuer, name.issuer) && serial.size() > 2 &&
         equal(ByteView(serial).subspan(2), name.serial);
}

std::string name_text(const SignerName& name) {
  if (name.issuer.empty()) return "key identifier " + hex(name.key_identifier);
  const unsigned char* at = name.issuer.data();
  const ossl::Name issuer(d2i_X509_NAME(nullptr, &at, static_cast<long>(name.issuer.size())));
  ossl::clear_errors();
  return fmt::format("issuer \"{}\", serial {}",
                     issuer ? x509::name_text(issuer.get()) : "a damaged name", hex(name.serial));
}

}  // namespace hsmith::cms
