#include "src/ossl/rsa_encryption.h"

#include <openssl/rsa.h>

#include "src/base/error.h"
#include "src/ossl/check.h"

namespace hsmith::ossl {
namespace {

int set_padding(EVP_PKEY_CTX* context, const RsaEncryption& how) {
  if (how.padding == RsaPadding::none) return EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING);
  if (how.padding == RsaPadding::pkcs1)
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING);
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, how.digest->md()) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(context, how.mgf1->md()) == 1;
}

}  // namespace

Bytes rsa_encrypt(EVP_PKEY* key, const RsaEncryption& how, ByteView message) {
  const char* doing = "encrypt with an RSA key";
  clear_errors();
  const PKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  check(
      context && EVP_PKEY_encrypt_init(context.get()) == 1 && set_padding(context.get(), how) == 1,
      doing);
  std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  Bytes encrypted(size);
  check(
      EVP_PKEY_encrypt(context.get(), encrypted.data(), &size, message.data(), message.size()) == 1,
      doing, Kind::unsupported);
  encrypted.resize(size);
  return encrypted;
}

}  // namespace hsmith::ossl
