// The ciphers of a message's content: RFC 3565, RFC 5084, and Triple DES (RFC 3370, 5.1) of old.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "src/base/secret.h"
#include "src/cms/ber.h"
#include "src/ossl/handles.h"

namespace hsmith::cms {

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, ossl::Deleter<EVP_CIPHER_CTX_free>>;

struct ContentCipher {
  const char* name;  // "aes-256-cbc"
  int nid;
  const EVP_CIPHER* (*evp)();
  std::size_t key_size;
  std::size_t iv_size;  // what hsmith makes; of GCM others are taken as well
  bool authenticated;
};

// Throws usage for one that hsmith does not encrypt with: aes-256-cbc, aes-256-gcm.
const ContentCipher& cipher_to_encrypt_with(std::string_view name);

inline constexpr std::size_t kTagSize = 16;

// A cipher with the numbers that a message has beside it.
struct CipherSettings {
  const ContentCipher* cipher = nullptr;
  Bytes iv;
  std::size_t tag_size = 0;  // of an authenticated cipher
};
// contentEncryptionAlgorithm. Throws malformed for parameters that do not fit (an IV of another
// length, above all), and unsupported for a cipher that hsmith does not have.
CipherSettings read_cipher(const Element& algorithm, std::string_view what);
// The same as an AlgorithmIdentifier, DER.
Bytes der_cipher(const CipherSettings& settings);

// Encrypts or decrypts a content that passes by.
class CipherStream {
 public:
  enum class Direction { encrypt, decrypt };
  CipherStream(Direction direction, const CipherSettings& settings, const Secret& key);

  // What is authenticated and not encrypted; before the content.
  void add_authenticated(ByteView data);
  // `out` has room for the input and one block more. The number of bytes that were written to it.
  std::size_t update(ByteView in, unsigned char* out);
  // The last bytes, one block at most. nullopt: the padding or the tag is wrong.
  std::optional<std::size_t> finish(unsigned char* out);
  // Of an authenticated cipher: to be had after the end, or to be set before it.
  Bytes tag() const;
  void expect_tag(ByteView tag);

 private:
  CipherContext context_;
};
inline constexpr std::size_t kLargestBlock = 16;

}  // namespace hsmith::cms
