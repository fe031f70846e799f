#include "src/recovery/envelope.h"

#include <fmt/format.h>
#include <openssl/cms.h>
#include <openssl/rsa.h>

#include "src/base/error.h"
#include "src/cms/ber.h"
#include "src/cms/content_info.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/recovery/archive.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"

namespace hsmith::recovery {
namespace {

using cms::Element;
using cms::Reader;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, ossl::Deleter<EVP_CIPHER_CTX_free>>;

constexpr const char* kMaking = "encrypt a key to its agents";
constexpr std::size_t kMostRecipients = 1000;

void set_padding(EVP_PKEY_CTX* context, const std::string& ability) {
  if (ability == kPkcs1) {
    ossl::check(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1, kMaking);
    return;
  }
  const EVP_MD* digest = ability == kOaepSha256 ? EVP_sha256() : EVP_sha1();
  ossl::check(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
                  EVP_PKEY_CTX_set_rsa_oaep_md(context, digest) == 1 &&
                  EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest) == 1,
              kMaking);
}

// RSAES-OAEP-params (RFC 4055, 4.1): absent fields mean SHA-1. Both digests alike, no label.
std::string oaep_ability(const cms::Algorithm& algorithm, const std::string& input) {
  const auto refuse = [&](const char* what) {
    return Error(Kind::unsupported,
                 fmt::format("read {}: its RSA-OAEP parameters {}", input, what));
  };
  if (!algorithm.parameters || algorithm.parameters->tag != cms::kSequence)
    throw refuse("are missing");
  int digest = NID_sha1;
  int mask = NID_sha1;
  Reader fields(*algorithm.parameters, "the RSA-OAEP parameters of " + input);
  if (const auto hash = fields.take_if(cms::context_tag(0) | cms::kConstructed)) {
    digest = cms::read_algorithm(Reader(*hash, "a digest").next(), "a digest").nid;
  }
  if (const auto mgf = fields.take_if(cms::context_tag(1) | cms::kConstructed)) {
    const auto function = cms::read_algorithm(Reader(*mgf, "a mask").next(), "a mask");
    if (function.nid != NID_mgf1 || !function.parameters) throw refuse("name another mask");
    mask = cms::read_algorithm(*function.parameters, "a mask's digest").nid;
  }
  if (fields.more()) throw refuse("have a label");
  if (digest == NID_sha256 && mask == NID_sha256) return kOaepSha256;
  if (digest == NID_sha1 && mask == NID_sha1) return kOaepSha1;
  throw refuse("name digests that no agent is given");
}

Recipient read_recipient(const Element& element, const std::string& input) {
  Reader fields(element, "a recipient of " + input);
  Recipient recipient;
  fields.take(cms::kInteger, "the version");
  const Element name = fields.next();
  if (name.tag == cms::kSequence) {
    Reader parts(name, "a recipient of " + input);
    recipient.issuer_der = to_bytes(parts.take(cms::kSequence, "the issuer").whole);
    recipient.serial = to_bytes(parts.take(cms::kInteger, "the serial number").content);
    const unsigned char* start = recipient.issuer_der.data();
    const ossl::Name issuer(
        d2i_X509_NAME(nullptr, &start, static_cast<long>(recipient.issuer_der.size())));
    ossl::check(issuer != nullptr, "read a recipient of " + input, Kind::malformed);
    recipient.issuer = x509::name_text(issuer.get());
  } else if (name.tag == cms::context_tag(0)) {
    recipient.key_identifier = to_bytes(name.content);
  } else {
    fields.refuse("it is named in an unknown way");
  }
  const auto algorithm = cms::read_algorithm(fields.take(cms::kSequence, "the algorithm"), input);
  if (algorithm.nid == NID_rsaEncryption) {
    recipient.ability = kPkcs1;
  } else if (algorithm.nid == NID_rsaesOaep) {
    recipient.ability = oaep_ability(algorithm, input);
  } else {
    throw Error(Kind::unsupported,
                fmt::format("read {}: a key is encrypted by an unknown algorithm", input));
  }
  recipient.encrypted_key = cms::octets_of(fields.take(cms::kOctetString, "the encrypted key"));
  fields.end();
  return recipient;
}

const EVP_CIPHER* cipher_of(const Envelope& envelope) {
  return EVP_get_cipherbynid(envelope.cipher);
}

void read_content(Envelope& envelope, const Element& element, const std::string& input) {
  Reader fields(element, "the encrypted content of " + input);
  fields.take(cms::kOid, "the content type");
  const auto algorithm = cms::read_algorithm(fields.take(cms::kSequence, "the cipher"), input);
  static constexpr int kCiphers[] = {NID_aes_256_cbc, NID_aes_192_cbc, NID_aes_128_cbc,
                                     NID_des_ede3_cbc};
  const bool known =
      std::find(std::begin(kCiphers), std::end(kCiphers), algorithm.nid) != std::end(kCiphers);
  if (!known || !algorithm.parameters || algorithm.parameters->tag != cms::kOctetString)
    throw Error(Kind::unsupported,
                fmt::format("read {}: its cipher is none of AES and 3DES", input));
  envelope.cipher = algorithm.nid;
  envelope.iv = to_bytes(algorithm.parameters->content);
  if (static_cast<int>(envelope.iv.size()) != EVP_CIPHER_get_iv_length(cipher_of(envelope)))
    fields.refuse("the IV has the wrong length");
  const Element content = fields.next();
  if ((content.tag & ~cms::kConstructed) != cms::context_tag(0))
    fields.refuse("it has no encrypted content");
  envelope.ciphertext = cms::octets_of(content);
  fields.end();
}

}  // namespace

Bytes make_envelope(ByteView plaintext, std::span<const EnvelopeTo> to) {
  ossl::clear_errors();
  const ossl::Bio content(BIO_new_mem_buf(plaintext.data(), static_cast<int>(plaintext.size())));
  const cms::Cms message(ossl::check_ptr(
      CMS_encrypt(nullptr, nullptr, EVP_aes_256_cbc(), CMS_BINARY | CMS_PARTIAL), kMaking));
  for (const EnvelopeTo& recipient : to) {
    CMS_RecipientInfo* info =
        CMS_add1_recipient_cert(message.get(), recipient.certificate, CMS_KEY_PARAM);
    ossl::check(info != nullptr, kMaking);
    set_padding(CMS_RecipientInfo_get0_pkey_ctx(info), recipient.ability);
  }
  ossl::check(CMS_final(message.get(), content.get(), nullptr, CMS_BINARY) == 1, kMaking);
  return ossl::der_of(i2d_CMS_ContentInfo, message.get());
}

Envelope read_envelope(ByteView content_info, const std::string& input) {
  const cms::ContentInfo info = cms::read_content_info(content_info, input);
  if (info.type != cms::ContentType::enveloped_data || info.content.tag != cms::kSequence)
    throw Error(Kind::malformed, fmt::format("read {}: it is no EnvelopedData", input));
  Reader fields(info.content, "the EnvelopedData of " + input);
  fields.take(cms::kInteger, "the version");
  fields.take_if(cms::context_tag(0) | cms::kConstructed);
  Envelope envelope;
  Reader recipients(fields.take(cms::kSet, "the recipients"), "the recipients of " + input);
  while (recipients.more()) {
    if (envelope.recipients.size() == kMostRecipients) recipients.refuse("there are too many");
    const Element next = recipients.next();
    if (next.tag != cms::kSequence)
      throw Error(
          Kind::unsupported,
          fmt::format("read {}: it is encrypted to something other than an RSA key", input));
    envelope.recipients.push_back(read_recipient(next, input));
  }
  read_content(envelope, fields.take(cms::kSequence, "the encrypted content"), input);
  fields.take_if(cms::context_tag(1) | cms::kConstructed);
  fields.end();
  if (envelope.recipients.empty()) recipients.refuse("there is none");
  return envelope;
}

bool is_for(const Recipient& recipient, X509* certificate) {
  if (!recipient.key_identifier.empty()) {
    const ASN1_OCTET_STRING* id = X509_get0_subject_key_id(certificate);
    return id != nullptr &&
           equal({ASN1_STRING_get0_data(id), static_cast<std::size_t>(ASN1_STRING_length(id))},
                 recipient.key_identifier);
  }
  const Bytes issuer = ossl::der_of(i2d_X509_NAME, X509_get_issuer_name(certificate));
  const Bytes serial = ossl::der_of(i2d_ASN1_INTEGER, X509_get0_serialNumber(certificate));
  return equal(issuer, recipient.issuer_der) && serial.size() >= recipient.serial.size() &&
         equal(ByteView(serial).last(recipient.serial.size()), recipient.serial);
}

std::size_t content_key_size(const Envelope& envelope) {
  return static_cast<std::size_t>(EVP_CIPHER_get_key_length(cipher_of(envelope)));
}

Secret open_envelope(const Envelope& envelope, const Secret& content_key) {
  constexpr const char* kDoing = "decrypt an archived key";
  const CipherContext context(EVP_CIPHER_CTX_new());
  ossl::clear_errors();
  ossl::check(content_key.size() == content_key_size(envelope),
              fmt::format("{}: its key has the wrong length", kDoing), Kind::malformed);
  ossl::check(context && EVP_DecryptInit_ex(context.get(), cipher_of(envelope), nullptr,
                                            content_key.reveal().data(), envelope.iv.data()) == 1,
              kDoing);
  Bytes plaintext(envelope.ciphertext.size() + 32);
  int size = 0;
  int last = 0;
  const bool done =
      EVP_DecryptUpdate(context.get(), plaintext.data(), &size, envelope.ciphertext.data(),
                        static_cast<int>(envelope.ciphertext.size())) == 1 &&
      EVP_DecryptFinal_ex(context.get(), plaintext.data() + size, &last) == 1;
  Secret opened = Secret::take(std::move(plaintext));
  ossl::check(done, kDoing, Kind::malformed);
  return Secret(opened.reveal().first(static_cast<std::size_t>(size + last)));
}

}  // namespace hsmith::recovery
