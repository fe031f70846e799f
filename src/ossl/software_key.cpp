#include "src/ossl/software_key.h"

#include <openssl/rsa.h>

#include "src/base/error.h"
#include "src/ossl/check.h"

namespace hsmith::ossl {
namespace {

constexpr const char* kSigning = "sign with a key in memory";

Bytes sign_message(EVP_PKEY* key, ByteView message) {
  const DigestContext context(check_ptr(EVP_MD_CTX_new(), kSigning));
  check(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) == 1, kSigning);
  Bytes signature(static_cast<std::size_t>(EVP_PKEY_get_size(key)));
  std::size_t size = signature.size();
  check(EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1,
        kSigning);
  signature.resize(size);
  return signature;
}

class SoftwareKey : public RemoteKey {
 public:
  explicit SoftwareKey(PKey private_key)
      : private_key_(std::move(private_key)),
        public_key_(public_key_from_spki(spki_of(private_key_.get()))) {}

  EVP_PKEY* public_key() const override { return public_key_.get(); }
  Bytes sign(const Scheme& scheme, ByteView digest_or_message) override {
    return sign_in_software(private_key_.get(), scheme, digest_or_message);
  }
  Secret decrypt(const RsaEncryption&, ByteView) override { refuse(); }
  DecryptedKey decrypt_key(const RsaEncryption&, ByteView, std::size_t) override { refuse(); }
  Secret derive(ByteView) override { refuse(); }

 private:
  [[noreturn]] static void refuse() {
    throw Error(Kind::unsupported, "use a key in memory: it only signs");
  }

  PKey private_key_;
  PKey public_key_;
};

}  // namespace

PKey generate_software_key(const KeyType& type) {
  clear_errors();
  EVP_PKEY* key = nullptr;
  if (type.algorithm == KeyAlgorithm::rsa) {
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(type.bits));
  } else if (type.algorithm == KeyAlgorithm::ec) {
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", type.group);
  } else {
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, type.group);
  }
  return PKey(check_ptr(key, "make a key in memory"));
}

Bytes sign_in_software(EVP_PKEY* key, const Scheme& scheme, ByteView digest_or_message) {
  clear_errors();
  if (scheme.digest == nullptr) return sign_message(key, digest_or_message);
  const PKeyContext context(check_ptr(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr), kSigning));
  check(EVP_PKEY_sign_init(context.get()) == 1 &&
            EVP_PKEY_CTX_set_signature_md(context.get(), scheme.digest->md()) == 1,
        kSigning);
  if (scheme.padding == Padding::pss) {
    check(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING) == 1 &&
              EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST) == 1,
          kSigning);
  }
  Bytes signature(static_cast<std::size_t>(EVP_PKEY_get_size(key)));
  std::size_t size = signature.size();
  check(EVP_PKEY_sign(context.get(), signature.data(), &size, digest_or_message.data(),
                      digest_or_message.size()) == 1,
        kSigning);
  signature.resize(size);
  return signature;
}

std::shared_ptr<RemoteKey> software_key(PKey private_key) {
  return std::make_shared<SoftwareKey>(std::move(private_key));
}

}  // namespace hsmith::ossl
