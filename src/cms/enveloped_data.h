// EnvelopedData (RFC 5652, 6) and AuthEnvelopedData (RFC 5083), read by our own parser: OpenSSL's
// has no way to the encrypted keys, and falls back from OAEP to PKCS#1 v1.5.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.h"
#include "src/cms/content_cipher.h"
#include "src/cms/content_info.h"
#include "src/cms/key_agreement.h"
#include "src/cms/signed_data.h"
#include "src/ossl/rsa_padding.h"

namespace hsmith::cms {

// How an ECDH recipient gets at the key (RFC 5753, 3.1). Views are of the message.
struct Agreement {
  Bytes point;  // the sender's ephemeral key, uncompressed
  const ossl::DigestType* digest = nullptr;
  const KeyWrap* wrap = nullptr;
  Bytes shared_info;
};

// Somebody who can open the message. What belongs to the other kind is empty.
struct Recipient {
  enum class Kind { rsa, ecdh, other };
  Kind kind = Kind::other;
  SignerName name;  // issuer and serial number, or key identifier
  ossl::RsaEncryption rsa;
  Agreement agreement;
  Bytes encrypted_key;
  // Why hsmith does not open it with this one: what its sender chose is wrong, or not supported.
  std::optional<Error> refusal;
};

struct EnvelopedData {
  std::vector<Recipient> recipients;  // at least one, in the message's order
  CipherSettings cipher;
  std::string content_type;        // "pkcs7-data", mostly
  Element content;                 // the encrypted content: octets, perhaps in segments
  Bytes authenticated_attributes;  // as they are authenticated: a SET, DER; mostly empty
  Bytes tag;
};

// Reads what cms::read_content_info() found to be one of the two. Throws malformed for a structure
// that no sender makes and for a missing content; unsupported for a cipher that hsmith does not
// have, and above 100,000 recipients. What is wrong with one recipient stands in its `refusal`.
EnvelopedData read_enveloped_data(const ContentInfo& message, std::string_view input);

// The issuer's name in the form of RFC 4514.
std::string issuer_text(const Recipient& recipient);
// "issuer CN=..., serial 0a"; "a password", "a shared key".
std::string recipient_text(const Recipient& recipient);

}  // namespace hsmith::cms
