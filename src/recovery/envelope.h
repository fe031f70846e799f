// The envelope around an archived key: CMS EnvelopedData (RFC 5652, 6) to several agents.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/ossl/handles.h"

namespace hsmith::recovery {

// An agent as recipient: the certificate and one of the abilities of archive.h.
struct EnvelopeTo {
  X509* certificate = nullptr;  // RSA
  std::string ability;
};

// Encrypts with AES-256-CBC under a fresh key, that key to each recipient. ContentInfo, DER.
Bytes make_envelope(ByteView plaintext, std::span<const EnvelopeTo> to);

// One KeyTransRecipientInfo.
struct Recipient {
  std::string issuer;  // RFC 4514; "" when it is named by its key identifier
  Bytes issuer_der;
  Bytes serial;          // INTEGER's content
  Bytes key_identifier;  // or this
  std::string ability;   // how the key is encrypted, in archive.h's words
  Bytes encrypted_key;
};

struct Envelope {
  std::vector<Recipient> recipients;
  int cipher = 0;  // OpenSSL's number: AES-128, -192, -256 in CBC, or 3DES
  Bytes iv;
  Bytes ciphertext;
};

// Throws malformed; unsupported for ciphers, recipients and paddings that are none of these, OAEP
// with absent parameters included.
Envelope read_envelope(ByteView content_info, const std::string& input);

// True when the recipient is this certificate, by issuer and serial number or key identifier.
bool is_for(const Recipient& recipient, X509* certificate);

// How long the content's key must be, in bytes.
std::size_t content_key_size(const Envelope& envelope);
// Undoes the content's encryption. CBC: a wrong key may go unnoticed here; what comes out must be
// proved. Throws malformed when the padding is none.
Secret open_envelope(const Envelope& envelope, const Secret& content_key);

}  // namespace hsmith::recovery
