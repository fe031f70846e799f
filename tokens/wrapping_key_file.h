// The file that takes a wrapping key from the token that it was made for to another.
#pragma once

#include <string>
#include <vector>

#include "src/base/secret.h"
#include "src/ossl/handles.h"
#include "src/ossl/remote_key.h"

namespace hsmith::tokens {

inline constexpr std::size_t kWrappingKeyLimit = 64u << 10;

// What the file says, besides the key itself.
struct WrappingKeyFile {
  std::string label;
  Bytes id;
  std::string check_value;  // of wrapping.h
  struct Recipient {
    std::string public_key_sha256;
    Bytes encrypted;  // RSA-OAEP with SHA-256 for both
  };
  std::vector<Recipient> recipients;
};

// The key, encrypted for each of the RSA keys. Throws refused for a key that is none of at least
// 2048 bits.
WrappingKeyFile seal_wrapping_key(const Secret& value, const std::string& label, const Bytes& id,
                                  const std::vector<ossl::PKey>& recipients);
std::string wrapping_key_text(const WrappingKeyFile& file);
// Bounded, every member checked. Throws malformed.
WrappingKeyFile read_wrapping_key(ByteView content, const std::string& name);
// Throws mismatch when the key is none of the recipients, or what it opens is not the key that the
// check value names.
Secret open_wrapping_key(const WrappingKeyFile& file, ossl::RemoteKey& key,
                         const std::string& name);

}  // namespace hsmith::tokens
