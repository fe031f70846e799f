// The envelope around an archived key: CMS EnvelopedData (RFC 5652, 6) to several agents.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/cms/enveloped_data.h"
#include "src/ossl/handles.h"
#include "src/ossl/remote_key.h"

namespace hsmith::recovery {

// An agent as recipient: the certificate and one of the abilities of archive.h.
struct EnvelopeTo {
  X509* certificate = nullptr;  // RSA
  std::string ability;
};

// Encrypts with AES-256-CBC under a fresh key, that key to each recipient. ContentInfo, DER.
Bytes make_envelope(ByteView plaintext, std::span<const EnvelopeTo> to);

struct Envelope {
  std::shared_ptr<const Bytes> content_info;  // what `data` has views of
  cms::EnvelopedData data;                    // with a cipher in CBC
};

// `input` is a file's name, or what it is called in messages. Throws malformed; unsupported for
// ciphers that hsmith does not have, GCM among them. What is wrong with one recipient stands there.
Envelope read_envelope(ByteView content_info, std::string_view input);

// How a recipient's key is encrypted, in archive.h's words; "" when it is in none of these ways.
std::string ability_of(const cms::Recipient& recipient);

// Undoes the recipient's encryption with its key, then the content's. CBC: a wrong key may go
// unnoticed here; what comes out must be proved. Throws decryption_failed, and what the recipient's
// `refusal` is.
Secret open_envelope(const Envelope& envelope, const cms::Recipient& recipient,
                     ossl::RemoteKey& key, std::string_view input);

}  // namespace hsmith::recovery
