// The paddings of RSA encryption (RFC 8017, 7), undone here where a token has the bare operation.
#pragma once

#include <optional>
#include <string>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/ossl/algorithms.h"

namespace hsmith::ossl {

enum class RsaPadding { none, pkcs1, oaep };

// How something was encrypted for an RSA key. The digests and the label are those of OAEP.
struct RsaEncryption {
  RsaPadding padding = RsaPadding::oaep;
  const DigestType* digest = nullptr;
  const DigestType* mgf1 = nullptr;
  Bytes label = {};
};

// "RSA-OAEP with sha256", "RSA-OAEP with sha256 and MGF1 with sha1", "RSA PKCS#1 v1.5".
std::string describe(const RsaEncryption& how);

// The message in a block that is as long as the modulus; nullopt when it is not padded so. The
// block is read in constant time: only the answer itself tells something. Throws unsupported for a
// block that is too short for the padding.
std::optional<Secret> unpad(const RsaEncryption& how, ByteView block);

// A key that was encrypted. Where the padding was bad, or the message was of another length,
// `good` is false and the key is random: who uses it first and asks afterwards is no oracle.
struct DecryptedKey {
  Secret key;
  bool good = false;
};
// The same instructions whatever the block is. Throws as unpad.
DecryptedKey unpad_key(const RsaEncryption& how, ByteView block, std::size_t size);
DecryptedKey random_key(std::size_t size);

}  // namespace hsmith::ossl
