// What a CMS message is, told before OpenSSL's decoder sees it (RFC 5652, 3).
#pragma once

#include <functional>
#include <memory>
#include <openssl/cms.h>
#include <string>
#include <string_view>

#include "src/base/bytes.h"
#include "src/cms/ber.h"
#include "src/ossl/handles.h"

namespace hsmith::cms {

using Cms = std::unique_ptr<CMS_ContentInfo, ossl::Deleter<CMS_ContentInfo_free>>;

// What is held in memory: attached contents that are verified or decrypted.
inline constexpr std::size_t kMostContent = std::size_t{512} << 20;
// A file with such a message: its content in Base64, and what is around it.
inline constexpr std::size_t kMostMessageFile = kMostContent / 20 * 28;

// Throws unsupported, before it is read, for a file that is larger than `most`, which its content
// is to be held in memory for; `hint` says what to do instead. What has no size passes.
void refuse_large_file(const std::string& path, std::size_t most, const std::string& hint);

// A whole message file. `is_one` is asked about the start of a larger one, so that no file of
// another kind is read to its end. Throws malformed when that says no, unsupported when the file is
// larger than kMostMessageFile.
Bytes read_message_file(const std::string& path, const std::function<bool(ByteView start)>& is_one);

enum class ContentType { data, signed_data, enveloped_data, auth_enveloped_data, other };

// True when the bytes begin as a ContentInfo, in BER, whatever it holds.
bool looks_like_cms(ByteView content);
// The same for PEM: its first block is labelled CMS or PKCS7.
bool looks_like_pem_cms(ByteView content);
// The BER of a file for which one of these is true. Throws malformed.
Bytes cms_of(ByteView content, std::string_view input);

struct ContentInfo {
  ContentType type = ContentType::other;
  std::string type_name;  // for messages: "pkcs7-signedData"
  Element content;        // what the explicit [0] holds: the SignedData, EnvelopedData ...
};
// Checks the BER of the whole message and reads its outer structure. The views are of `ber`.
// `input` is the file's name, for messages. Throws malformed.
ContentInfo read_content_info(ByteView ber, std::string_view input);

// OpenSSL's form of a message that passed the checks for its type. Throws malformed when OpenSSL
// finds something else wrong with it.
Cms decode(ByteView ber, std::string_view input);

}  // namespace hsmith::cms
