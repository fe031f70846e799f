#include "src/cms/recipients.h"

#include <fmt/format.h>
#include <openssl/objects.h>

#include "src/base/text.h"

namespace hsmith::cms {
namespace {

constexpr unsigned char kContext0 = context_tag(0) | kConstructed;
constexpr unsigned char kContext1 = context_tag(1) | kConstructed;
constexpr unsigned char kContext2 = context_tag(2) | kConstructed;
constexpr unsigned char kBitString = 0x03;
constexpr std::size_t kMostKey = 4096;  // octets of an encrypted key: RSA with 32768 bits

// What is wrong with one recipient must not keep the others from reading the message.
Error refusal(Kind kind, std::string_view input, const std::string& cause) {
  return Error(kind, fmt::format("decrypt {}: {}", quoted(input), cause));
}

const ossl::DigestType* digest_of(int nid) {
  switch (nid) {
    case NID_sha1:
      return &ossl::digest_named("sha1");
    case NID_sha256:
      return &ossl::digest_named("sha256");
    case NID_sha384:
      return &ossl::digest_named("sha384");
    case NID_sha512:
      return &ossl::digest_named("sha512");
    default:
      return nullptr;
  }
}

// hashAlgorithm: parameters NULL or absent.
const ossl::DigestType& read_digest(const Element& element) {
  if (element.tag != kSequence) throw Error(Kind::malformed, "the digest of OAEP is none");
  const Algorithm algorithm = read_algorithm(element, "the digest of OAEP");
  const ossl::DigestType* digest = digest_of(algorithm.nid);
  if (algorithm.has_parameters())
    throw Error(Kind::malformed, "the digest of OAEP has parameters of its own");
  if (digest == nullptr) throw Error(Kind::unsupported, "OAEP with another digest than SHA-1 or 2");
  return *digest;
}

// RSAES-OAEP-params (RFC 8017, A.2.1). They must be there (RFC 4055, 4.1): their absence is not
// taken for the defaults, let alone for PKCS#1 v1.5.
ossl::RsaEncryption read_oaep(const std::optional<Element>& parameters) {
  if (!parameters || parameters->tag != kSequence)
    throw Error(Kind::malformed, "the parameters of OAEP are missing");
  ossl::RsaEncryption how{ossl::RsaPadding::oaep, &ossl::digest_named("sha1"),
                          &ossl::digest_named("sha1")};
  Reader reader(*parameters, "the parameters of OAEP");
  if (const auto hash = reader.take_if(kContext0)) {
    Reader inner(*hash, "the digest of OAEP");
    how.digest = &read_digest(inner.take(kSequence, "its algorithm"));
    inner.end();
  }
  if (const auto mask = reader.take_if(kContext1)) {
    Reader inner(*mask, "the mask of OAEP");
    const Algorithm mgf =
        read_algorithm(inner.take(kSequence, "its algorithm"), "the mask of OAEP");
    inner.end();
    if (mgf.nid != NID_mgf1 || !mgf.has_parameters())
      throw Error(Kind::unsupported, "OAEP with another mask than MGF1");
    how.mgf1 = &read_digest(*mgf.parameters);
  }
  if (const auto source = reader.take_if(kContext2)) {
    Reader inner(*source, "the label of OAEP");
    const Algorithm label =
        read_algorithm(inner.take(kSequence, "its source"), "the label of OAEP");
    inner.end();
    if (label.nid != NID_pSpecified || !label.has_parameters() ||
        label.parameters->tag != kOctetString) {
      throw Error(Kind::unsupported, "OAEP with a label that is not in the message");
    }
    how.label = to_bytes(label.parameters->content);
  }
  reader.end();
  return how;
}

// RFC 3370, 4.2.1: rsaEncryption has NULL beside it; absent is seen, anything else is not.
ossl::RsaEncryption read_rsa(const Element& element) {
  const Algorithm algorithm = read_algorithm(element, "the algorithm of a recipient");
  if (algorithm.nid == NID_rsaesOaep) return read_oaep(algorithm.parameters);
  if (algorithm.nid != NID_rsaEncryption)
    throw Error(Kind::unsupported, "its key was encrypted with an algorithm that hsmith lacks");
  if (algorithm.has_parameters())
    throw Error(Kind::malformed, "rsaEncryption has parameters that it has not");
  return {ossl::RsaPadding::pkcs1};
}

void check_version(Reader& reader, unsigned char wanted) {
  const Element version = reader.take(kInteger, "the version");
  if (version.content.size() != 1 || version.content[0] != wanted)
    reader.refuse("its version does not fit what follows");
}

// RecipientIdentifier and KeyAgreeRecipientIdentifier, up to their second tag.
SignerName read_name(Reader& reader, bool agreement) {
  SignerName name;
  if (reader.tag() == kSequence) {
    Reader parts(reader.next(), "the name of a recipient");
    name.issuer = parts.take(kSequence, "the issuer").whole;
    name.serial = parts.take(kInteger, "the serial number").content;
    parts.end();
    return name;
  }
  if (!agreement) {
    name.key_identifier = reader.take(context_tag(0), "the name of a recipient").content;
    return name;
  }
  Reader parts(reader.take(kContext0, "the name of a recipient"), "the name of a recipient");
  name.key_identifier = parts.take(kOctetString, "the key identifier").content;
  return name;  // a date and other attributes do not matter
}

Bytes read_key(Reader& reader) {
  const Element octets = reader.next();
  if ((octets.tag & ~kConstructed) != kOctetString || octets_size(octets) > kMostKey)
    reader.refuse("the encrypted key is none");
  return octets_of(octets);
}

// Runs `read` for what one recipient's sender chose.
template <typename Read>
void or_refuse(Recipient& recipient, std::string_view input, Read read) {
  try {
    read();
  } catch (const Error& error) {
    recipient.refusal = refusal(error.kind(), input, error.what());
  }
}

Recipient read_transport(const Element& info, std::string_view input) {
  Reader reader(info, "a recipient");
  Reader ahead = reader;
  ahead.next();
  check_version(reader, ahead.tag() == kSequence ? 0 : 2);  // RFC 5652, 6.2.1
  Recipient recipient;
  recipient.kind = Recipient::Kind::rsa;
  recipient.name = read_name(reader, false);
  const Element algorithm = reader.take(kSequence, "the algorithm");
  or_refuse(recipient, input, [&] { recipient.rsa = read_rsa(algorithm); });
  recipient.encrypted_key = read_key(reader);
  reader.end();
  return recipient;
}

// OriginatorPublicKey: the point, as only an ephemeral key has it here.
Bytes read_originator(const Element& element) {
  Reader outer(element, "the sender's key");
  if (outer.tag() != kContext1)
    throw Error(Kind::unsupported, "the sender's key is not in the message");
  Reader key(outer.next(), "the sender's key");
  outer.end();
  if (read_algorithm(key.take(kSequence, "the algorithm"), "the sender's key").nid !=
      NID_X9_62_id_ecPublicKey) {
    throw Error(Kind::unsupported, "the sender's key is no EC key");
  }
  const ByteView bits = key.take(kBitString, "the point").content;
  key.end();
  if (bits.size() < 2 || bits[0] != 0 || bits[1] != 4)
    throw Error(Kind::unsupported, "the sender's key is no uncompressed point");
  return to_bytes(bits.subspan(1));
}

Agreement read_agreement(const Element& originator, const std::optional<Bytes>& material,
                         const Element& algorithm) {
  const Algorithm scheme = read_algorithm(algorithm, "the algorithm of a recipient");
  Agreement agreement;
  agreement.digest = kdf_digest(scheme.nid);
  if (agreement.digest == nullptr)
    throw Error(Kind::unsupported, "its key was agreed on by a scheme that hsmith lacks");
  if (!scheme.has_parameters() || scheme.parameters->tag != kSequence)
    throw Error(Kind::malformed, "the key wrap of a recipient is missing");
  agreement.wrap = key_wrap(read_algorithm(*scheme.parameters, "the key wrap of a recipient").nid);
  if (agreement.wrap == nullptr)
    throw Error(Kind::unsupported, "its key was wrapped with an algorithm that hsmith lacks");
  agreement.point = read_originator(originator);
  agreement.shared_info = shared_info(scheme.parameters->whole, material, agreement.wrap->key_size);
  return agreement;
}

void read_key_agreement(const Element& info, std::string_view input, std::vector<Recipient>& out) {
  Reader reader(info, "a recipient");
  check_version(reader, 3);  // RFC 5652, 6.2.2
  const Element originator = reader.take(kContext0, "the sender's key");
  std::optional<Bytes> material;
  if (const auto explicit_material = reader.take_if(kContext1)) {
    Reader inner(*explicit_material, "the user keying material");
    material = to_bytes(inner.take(kOctetString, "its octets").content);
    inner.end();
  }
  const Element algorithm = reader.take(kSequence, "the algorithm");
  Recipient common;
  common.kind = Recipient::Kind::ecdh;
  or_refuse(common, input,
            [&] { common.agreement = read_agreement(originator, material, algorithm); });
  Reader keys(reader.take(kSequence, "the encrypted keys"), "a recipient");
  reader.end();
  while (keys.more()) {
    Reader one(keys.take(kSequence, "an encrypted key"), "a recipient");
    Recipient recipient = common;
    recipient.name = read_name(one, true);
    recipient.encrypted_key = read_key(one);
    one.end();
    out.push_back(std::move(recipient));
  }
}

Recipient other_recipient(const char* what, std::string_view input) {
  Recipient recipient;
  recipient.refusal = refusal(Kind::unsupported, input,
                              fmt::format("{} opens it, and hsmith uses keys of tokens", what));
  return recipient;
}

}  // namespace

void read_recipient(const Element& info, std::string_view input, std::vector<Recipient>& out) {
  switch (info.tag) {
    case kSequence:
      out.push_back(read_transport(info, input));
      return;
    case kContext1:
      read_key_agreement(info, input, out);
      return;
    case kContext2:
      out.push_back(other_recipient("a shared key", input));
      return;
    case context_tag(3) | kConstructed:
      out.push_back(other_recipient("a password", input));
      return;
    case context_tag(4) | kConstructed:
      out.push_back(other_recipient("a secret of another kind", input));
      return;
    default:
      throw Error(Kind::malformed,
                  fmt::format("read {}: a recipient of an unknown kind", quoted(input)));
  }
}

std::string recipient_text(const Recipient& recipient) {
  if (recipient.kind == Recipient::Kind::other) return "one who is not named by a certificate";
  return name_text(recipient.name);
}

}  // namespace hsmith::cms
