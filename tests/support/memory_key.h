// A RemoteKey in memory, over a software key.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "src/base/error.h"
#include "src/ossl/remote_key.h"

namespace hsmith::tests {

class MemoryKey : public ossl::RemoteKey {
 public:
  explicit MemoryKey(ossl::PKey private_key);
  // A fresh key of a type in ossl::key_types(): "ec:p256".
  static std::shared_ptr<MemoryKey> generate(std::string_view type);

  EVP_PKEY* public_key() const override { return public_key_.get(); }
  Bytes sign(const ossl::Scheme& scheme, ByteView digest_or_message) override;
  Secret decrypt(const ossl::RsaEncryption& how, ByteView ciphertext) override;
  ossl::DecryptedKey decrypt_key(const ossl::RsaEncryption& how, ByteView ciphertext,
                                 std::size_t size) override;
  Secret derive(ByteView peer_point) override;

  // The software key itself; borrowed.
  EVP_PKEY* private_key() const { return private_key_.get(); }

  // The next sign() throws this instead, once.
  void fail_next_sign(Error error) { failure_ = std::move(error); }

  int signatures = 0;
  int decryptions = 0;
  int derivations = 0;

 private:
  ossl::PKey private_key_;
  ossl::PKey public_key_;
  std::optional<Error> failure_;
};

// A fresh software key.
ossl::PKey generate_software_key(std::string_view type);

}  // namespace hsmith::tests
