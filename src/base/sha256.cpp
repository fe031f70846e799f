#include "src/base/sha256.h"

#include <array>
#include <openssl/evp.h>

#include "src/base/error.h"

namespace hsmith {

std::string sha256_hex(ByteView data) {
  std::array<unsigned char, 32> digest;
  unsigned int written = 0;
  if (EVP_Digest(data.data(), data.size(), digest.data(), &written, EVP_sha256(), nullptr) != 1 ||
      written != digest.size()) {
    throw Error(Kind::internal, "compute a SHA-256");
  }
  return hex(digest);
}

}  // namespace hsmith
