// S/MIME (RFC 8551) around CMS: messages read by our own parser, and written.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/base/bytes.h"

namespace hsmith::cms {

// True when the text begins with MIME headers, one of which announces S/MIME.
bool looks_like_smime(ByteView content);

struct SmimeMessage {
  Bytes cms;  // BER
  // multipart/signed: the part that was signed, its line ends CRLF, as it was hashed.
  std::optional<Bytes> content;
};
// Reads multipart/signed (RFC 8551, 3.5.3) and application/pkcs7-mime (3.2), which must be in
// Base64. Throws malformed for a message of another shape: a parameter or header that stands there
// twice, a part too many, text among the Base64.
SmimeMessage read_smime(ByteView text, std::string_view input);

// The MIME entity that is signed for a file, lines ending in CRLF: a file that begins with MIME
// headers (Content-Type) as it is, UTF-8 text as text/plain, anything else as an attachment.
Bytes mime_entity(ByteView content, const std::string& file_name);

// A message, lines ending in CRLF. `entity` is from mime_entity(), `digest` hsmith's name.
std::string multipart_signed(ByteView entity, ByteView cms, std::string_view digest);
// application/pkcs7-mime; `type` is "signed-data", "enveloped-data", "authEnveloped-data".
std::string pkcs7_mime(ByteView cms, std::string_view type);

}  // namespace hsmith::cms
