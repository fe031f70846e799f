// Encrypted messages made (RFC 5652, 6; RFC 5083), in constant memory.
#pragma once

#include <ctime>
#include <span>

#include "src/base/new_file.h"
#include "src/base/secret.h"
#include "src/cms/content_cipher.h"
#include "src/cms/verify.h"
#include "src/ossl/rsa_padding.h"

namespace hsmith::cms {

// For whom, and how. RSA keys get the content's key by PKCS#1 v1.5, or OAEP with SHA-256 (explicit
// parameters); EC keys by ECDH with an ephemeral key (dhSinglePass-stdDH-sha256kdf, aes256-wrap).
struct Encryption {
  std::span<const ossl::Certificate> recipients;  // at least one
  const ContentCipher* cipher = nullptr;
  ossl::RsaPadding rsa_padding = ossl::RsaPadding::oaep;
};

// Throws refused for a certificate that is not valid at `time`, is not for encryption by its key
// usage or has a weak key; unsupported for a key that nothing can be encrypted for. `name` is what
// messages call it.
void check_recipient(X509* certificate, std::time_t time, std::string_view name);

// Writes the message for a content, BER. Then reads the file from its start: recipients as asked,
// and the content, decrypted again with the key that is still at hand, as it was read. Throws
// unsupported for a content above 64 GiB with GCM, which may not encrypt more (SP
// 800-38D, 5.2.1.1).
void encrypt(const Encryption& encryption, const Content& content, NewFile& file);

// A small content as a ContentInfo with EnvelopedData, DER, by a cipher that is not authenticated:
// for RSA keys only, whose recipient infos were made for the same key (recipient_infos.h).
Bytes envelop(ByteView content, const CipherSettings& settings, const Secret& key,
              std::vector<Bytes> infos);
// Fresh from the random number generator.
CipherSettings fresh_settings(const ContentCipher& cipher);
Secret fresh_key(const ContentCipher& cipher);

}  // namespace hsmith::cms
