#include "src/cms/content_info.h"

#include <filesystem>
#include <fmt/format.h>
#include <openssl/objects.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/input.h"
#include "src/x509/kind.h"

namespace hsmith::cms {
namespace {

// 1.2.840.113549.1.7 and 1.2.840.113549.1.9.16.1, where the content types of RFC 5652, RFC 5083
// and RFC 8551 live.
constexpr unsigned char kPkcs7[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07};
constexpr unsigned char kSmimeContent[] = {0x2a, 0x86, 0x48, 0x86, 0xf7,
                                           0x0d, 0x01, 0x09, 0x10, 0x01};

bool begins(ByteView bytes, ByteView start) {
  return bytes.size() > start.size() && equal(bytes.first(start.size()), start);
}

ContentType type_of(int nid) {
  switch (nid) {
    case NID_pkcs7_data:
      return ContentType::data;
    case NID_pkcs7_signed:
      return ContentType::signed_data;
    case NID_pkcs7_enveloped:
      return ContentType::enveloped_data;
    case NID_id_smime_ct_authEnvelopedData:
      return ContentType::auth_enveloped_data;
    default:
      return ContentType::other;
  }
}

// What a file begins with tells its kind.
constexpr std::size_t kStart = std::size_t{64} << 10;

constexpr const char* kDetachedHint = "detached signatures have no limit";

Error too_large(const std::string& path) {
  return Error(Kind::unsupported,
               fmt::format("read {}: a content that is larger than 512 MiB is not held in memory",
                           quoted(path)));
}

bool is_cms_label(std::string_view label) {
  const std::string kind = x509::kind_of_pem(label);
  return kind == "a CMS file" || kind == "a PKCS#7 file";
}

}  // namespace

void refuse_large_file(const std::string& path, std::size_t most, const std::string& hint) {
  std::error_code none;
  const bool has_size = path != "-" && std::filesystem::is_regular_file(path, none);
  if (has_size && std::filesystem::file_size(path, none) > most) throw too_large(path).hint(hint);
}

Bytes read_message_file(const std::string& path,
                        const std::function<bool(ByteView start)>& is_one) {
  Bytes message;
  bool known = false;
  read_blocks(path, [&](ByteView block) {
    message.insert(message.end(), block.begin(), block.end());
    if (known || message.size() <= kStart) {
      if (message.size() > kMostMessageFile) throw too_large(path).hint(kDetachedHint);
      return;
    }
    known = is_one(message);
    if (!known) {
      throw Error(Kind::malformed,
                  fmt::format("read {}: it is larger than 64 KiB and no message that hsmith knows",
                              quoted(path)));
    }
    refuse_large_file(path, kMostMessageFile, kDetachedHint);
  });
  return message;
}

bool looks_like_cms(ByteView content) {
  // A SEQUENCE, its length in any form, then one of the OIDs.
  if (content.size() < 16 || content[0] != kSequence) return false;
  const std::size_t octets = content[1] > 0x80 ? content[1] & 0x7fu : 0;
  if (octets > 8 || content.size() < 4 + octets) return false;
  const ByteView oid = content.subspan(2 + octets);
  return oid[0] == kOid &&
         (begins(oid.subspan(2), kPkcs7) || begins(oid.subspan(2), kSmimeContent));
}

bool looks_like_pem_cms(ByteView content) {
  if (!x509::looks_like_pem(content)) return false;
  constexpr std::string_view kBegin = "-----BEGIN ";
  const std::string_view text = as_text(content);
  const std::size_t label = text.find(kBegin) + kBegin.size();
  const std::size_t end = text.find("-----", label);
  return end != std::string_view::npos && is_cms_label(text.substr(label, end - label));
}

Bytes cms_of(ByteView content, std::string_view input) {
  if (!x509::looks_like_pem(content)) return to_bytes(content);
  std::vector<x509::PemBlock> blocks = x509::pem_blocks(content, quoted(input));
  if (blocks.size() != 1) {
    throw Error(Kind::malformed,
                fmt::format("read {}: it holds {} PEM blocks, expected one message", quoted(input),
                            blocks.size()));
  }
  return std::move(blocks.front().der);
}

ContentInfo read_content_info(ByteView ber, std::string_view input) {
  check_ber(ber, input);
  const std::string name = quoted(input);
  Reader outer(ber, name);
  Reader info(outer.take(kSequence, "the ContentInfo"), name);
  const Element type = info.take(kOid, "the content type");
  ContentInfo read{type_of(nid_of(type)), oid_text(type), {}};
  Reader explicit_content(info.take(context_tag(0) | kConstructed, "the content"), name);
  info.end();
  read.content = explicit_content.next();
  explicit_content.end();
  return read;
}

Cms decode(ByteView ber, std::string_view input) {
  ossl::clear_errors();
  const unsigned char* at = ber.data();
  Cms cms(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(ber.size())));
  ossl::check(cms != nullptr, fmt::format("read {}", quoted(input)), Kind::malformed);
  return cms;
}

}  // namespace hsmith::cms
