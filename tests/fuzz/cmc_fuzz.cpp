// CMC messages and private key blobs as they come to an authority: read or refused, whatever the
// bytes are. What is read of a message was signed; no bytes are the private half of a key that
// nobody has.
#include <cstdlib>

#include "src/base/error.h"
#include "src/recovery/cmc.h"
#include "src/recovery/private_key_blob.h"

namespace {

using namespace hsmith;

template <typename Read>
void try_to(Read read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.kind() == Kind::internal) std::abort();
  }
}

// The modulus is of a key that was thrown away.
EVP_PKEY* nobodys_key() {
  static const ossl::PKey key = [] {
    Bytes modulus(256, 0xa5);
    modulus.back() = 0x2f;
    return ossl::rsa_public_key(modulus, Bytes{1, 0, 1});
  }();
  return key.get();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest{data + 1, size - 1};
  if (data[0] == 'k') {
    try_to([&] {
      recovery::read_archived_key(rest, nobodys_key(), "fuzz");
      std::abort();
    });
    return 0;
  }
  try_to([&] {
    if (!recovery::is_cmc_request(rest)) return;
    const recovery::CmcRequest request = recovery::read_cmc_request(rest, "fuzz");
    if (!request.request || request.digest.empty()) std::abort();
  });
  try_to([&] {
    if (!recovery::is_cmc_response(rest)) return;
    if (!recovery::read_cmc_response(rest, "fuzz").authority) std::abort();
  });
  return 0;
}
