#include "src/cms/enveloped_data.h"

#include <fmt/format.h>
#include <openssl/objects.h>

#include "src/base/text.h"
#include "src/cms/recipients.h"
#include "src/ossl/check.h"
#include "src/x509/name.h"

namespace hsmith::cms {
namespace {

constexpr std::size_t kMostRecipients = 100'000;
constexpr unsigned char kContext0 = context_tag(0) | kConstructed;
constexpr unsigned char kContext1 = context_tag(1) | kConstructed;
constexpr unsigned char kContext2 = context_tag(2) | kConstructed;

std::vector<Recipient> read_recipients(const Element& set, std::string_view input) {
  std::vector<Recipient> recipients;
  for (Reader reader(set, quoted(input)); reader.more();) {
    read_recipient(reader.next(), input, recipients);
    if (recipients.size() > kMostRecipients) {
      throw Error(Kind::unsupported,
                  fmt::format("read {}: more than {} recipients", quoted(input), kMostRecipients));
    }
  }
  if (recipients.empty())
    throw Error(Kind::malformed, fmt::format("read {}: it has no recipient", quoted(input)));
  return recipients;
}

// The content type's element.
Element read_encrypted_content(const Element& info, std::string_view input, EnvelopedData& data) {
  Reader reader(info, quoted(input));
  const Element type = reader.take(kOid, "the content type");
  data.content_type = oid_text(type);
  const Element algorithm = reader.take(kSequence, "the content's cipher");
  data.cipher = read_cipher(algorithm, quoted(input));
  const unsigned char tag = reader.tag();
  if ((tag & ~kConstructed) != context_tag(0)) reader.refuse("its encrypted content is missing");
  data.content = reader.next();
  reader.end();
  if (octets_size(data.content) > kMostContent + kLargestBlock) {
    throw Error(Kind::unsupported,
                fmt::format("read {}: a content that is larger than 512 MiB is not held in memory",
                            quoted(input)));
  }
  return type;
}

// RFC 5083, 2.1: nothing else protects a type other than data; RFC 5652, 11.1.
void check_authenticated_type(const std::optional<Element>& attributes, const Element& type,
                              const EnvelopedData& data, Reader& reader) {
  if (!attributes) {
    if (data.content_type != "pkcs7-data") reader.refuse("its content type is not authenticated");
    return;
  }
  int found = 0;
  for (Reader all(*attributes, "the authenticated attributes"); all.more();) {
    Reader attribute(all.take(kSequence, "an attribute"), "an attribute");
    if (nid_of(attribute.take(kOid, "its type")) != NID_pkcs9_contentType) continue;
    Reader values(attribute.take(kSet, "its values"), "the content type");
    const Element value = values.take(kOid, "its value");
    values.end();
    ++found;
    if (!equal(value.whole, type.whole)) reader.refuse("its content type is not the authenticated");
  }
  if (found != 1) reader.refuse("its authenticated attributes lack the content type");
}

}  // namespace

std::string issuer_text(const Recipient& recipient) {
  const ByteView der = recipient.name.issuer;
  const unsigned char* at = der.data();
  const ossl::Name issuer(d2i_X509_NAME(nullptr, &at, static_cast<long>(der.size())));
  ossl::clear_errors();
  return issuer ? x509::name_text(issuer.get()) : "a damaged name";
}

EnvelopedData read_enveloped_data(const ContentInfo& message, std::string_view input) {
  const bool authenticated = message.type == ContentType::auth_enveloped_data;
  if (!authenticated && message.type != ContentType::enveloped_data) {
    throw Error(Kind::malformed, fmt::format("decrypt {}: it is not encrypted, but {}",
                                             quoted(input), message.type_name))
        .hint(message.type == ContentType::signed_data ? "it is signed: hsmith verify FILE" : "");
  }
  EnvelopedData data;
  Reader reader(message.content, quoted(input));
  if (message.content.tag != kSequence) reader.refuse("its content is of another kind");
  const Element version = reader.take(kInteger, "the version");
  // RFC 5083, 2.1: always 0. Of EnvelopedData's five versions senders take one or another.
  if (version.content.size() != 1 || version.content[0] > (authenticated ? 0 : 4))
    reader.refuse("its version is unknown");
  reader.take_if(kContext0);  // originatorInfo: certificates that nothing here needs
  data.recipients = read_recipients(reader.take(kSet, "the recipients"), input);
  const Element type =
      read_encrypted_content(reader.take(kSequence, "the encrypted content"), input, data);
  if (data.cipher.cipher->authenticated != authenticated) {
    reader.refuse(fmt::format("{} has no place in this type of message", data.cipher.cipher->name));
  }
  const auto attributes = reader.take_if(kContext1);
  if (authenticated) {
    check_authenticated_type(attributes, type, data, reader);
    if (attributes) {
      // RFC 5083, 2.2: authenticated with the tag of a SET.
      data.authenticated_attributes = to_bytes(attributes->whole);
      data.authenticated_attributes[0] = kSet;
    }
    data.tag = to_bytes(reader.take(kOctetString, "the tag").content);
    if (data.tag.size() != data.cipher.tag_size)
      reader.refuse(fmt::format("a tag of {} bytes where {} are announced", data.tag.size(),
                                data.cipher.tag_size));
    reader.take_if(kContext2);  // unauthenticated attributes
  }
  reader.end();
  return data;
}

}  // namespace hsmith::cms
