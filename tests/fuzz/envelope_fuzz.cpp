// Encrypted messages: whatever the bytes are, they are read or refused. The key is one that opens
// every message with zeros, so that the content is reached as well.
#include <cstdlib>

#include "src/base/error.h"
#include "src/cms/decrypt.h"

namespace {

using namespace hsmith;

class ZeroKey : public ossl::RemoteKey {
 public:
  EVP_PKEY* public_key() const override { return nullptr; }
  Bytes sign(const ossl::Scheme&, ByteView) override { std::abort(); }
  Secret decrypt(const ossl::RsaEncryption&, ByteView) override { std::abort(); }
  ossl::DecryptedKey decrypt_key(const ossl::RsaEncryption& how, ByteView,
                                 std::size_t size) override {
    ossl::describe(how);
    return {Secret::take(Bytes(size, 0)), true};
  }
  Secret derive(ByteView) override { return Secret::take(Bytes(32, 0)); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const ByteView ber{data, size};
  try {
    const cms::EnvelopedData message =
        cms::read_enveloped_data(cms::read_content_info(ber, "fuzz"), "fuzz");
    if (message.recipients.empty()) std::abort();
    ZeroKey key;
    for (const cms::Recipient& recipient : message.recipients) {
      cms::recipient_text(recipient);
      try {
        const Bytes content = cms::decrypt(message, recipient, key, "fuzz");
        if (content.size() > size) std::abort();
      } catch (const Error&) {
      }
    }
  } catch (const Error& error) {
    if (error.kind() == Kind::internal) std::abort();
  }
  return 0;
}
