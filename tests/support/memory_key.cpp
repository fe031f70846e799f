#include "tests/support/memory_key.h"

#include <openssl/rsa.h>
#include <utility>

#include "src/ossl/check.h"
#include "src/ossl/software_key.h"

namespace hsmith::tests {
namespace {

using ossl::check;

ossl::PKeyContext context_for(EVP_PKEY* key) {
  return ossl::PKeyContext(
      ossl::check_ptr(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr), "use a software key"));
}

}  // namespace

ossl::PKey generate_software_key(std::string_view type) {
  return ossl::generate_software_key(ossl::key_type_named(type));
}

MemoryKey::MemoryKey(ossl::PKey private_key)
    : private_key_(std::move(private_key)),
      public_key_(ossl::public_key_from_spki(ossl::spki_of(private_key_.get()))) {}

std::shared_ptr<MemoryKey> MemoryKey::generate(std::string_view type) {
  return std::make_shared<MemoryKey>(generate_software_key(type));
}

Bytes MemoryKey::sign(const ossl::Scheme& scheme, ByteView digest_or_message) {
  ++signatures;
  if (failure_) throw *std::exchange(failure_, std::nullopt);
  return ossl::sign_in_software(private_key_.get(), scheme, digest_or_message);
}

// The bare operation; as on a token that has nothing else.
Secret MemoryKey::decrypt(const ossl::RsaEncryption& how, ByteView ciphertext) {
  ++decryptions;
  const ossl::PKeyContext context = context_for(private_key_.get());
  check(EVP_PKEY_decrypt_init(context.get()) == 1, "decrypt");
  check(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING) == 1, "decrypt");
  Bytes block(static_cast<std::size_t>(EVP_PKEY_get_size(private_key_.get())));
  std::size_t size = block.size();
  check(EVP_PKEY_decrypt(context.get(), block.data(), &size, ciphertext.data(),
                         ciphertext.size()) == 1,
        "decrypt", Kind::decryption_failed);
  const Secret whole = Secret::take(std::move(block));
  auto message = ossl::unpad(how, whole.reveal());
  if (!message) throw Error(Kind::decryption_failed, "decrypt: the padding is bad");
  return std::move(*message);
}

ossl::DecryptedKey MemoryKey::decrypt_key(const ossl::RsaEncryption& how, ByteView ciphertext,
                                          std::size_t size) {
  try {
    return ossl::unpad_key(how, decrypt({ossl::RsaPadding::none}, ciphertext).reveal(), size);
  } catch (const Error& error) {
    // A number that is not below the modulus is answered as any other bad ciphertext is.
    if (error.kind() != Kind::decryption_failed) throw;
    return ossl::random_key(size);
  }
}

Secret MemoryKey::derive(ByteView peer_point) {
  ++derivations;
  const ossl::KeyType& type = ossl::key_type_named(ossl::key_type_name(private_key_.get()));
  const ossl::PKey peer = ossl::ec_public_key(type, peer_point);
  const ossl::PKeyContext context = context_for(private_key_.get());
  check(EVP_PKEY_derive_init(context.get()) == 1, "derive");
  check(EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1, "derive");
  std::size_t size = 0;
  check(EVP_PKEY_derive(context.get(), nullptr, &size) == 1, "derive");
  Bytes shared(size);
  check(EVP_PKEY_derive(context.get(), shared.data(), &size) == 1, "derive");
  shared.resize(size);
  return Secret::take(std::move(shared));
}

}  // namespace hsmith::tests
