#include "src/cms/key_agreement.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/objects.h>
#include <openssl/params.h>

#include "src/cms/ber.h"
#include "src/cms/content_cipher.h"
#include "src/cms/der.h"
#include "src/ossl/check.h"

namespace hsmith::cms {
namespace {

using Kdf = std::unique_ptr<EVP_KDF, ossl::Deleter<EVP_KDF_free>>;
using KdfContext = std::unique_ptr<EVP_KDF_CTX, ossl::Deleter<EVP_KDF_CTX_free>>;

constexpr KeyWrap kWraps[] = {{NID_id_aes128_wrap, EVP_aes_128_wrap, 16},
                              {NID_id_aes192_wrap, EVP_aes_192_wrap, 24},
                              {NID_id_aes256_wrap, EVP_aes_256_wrap, 32},
                              {NID_id_smime_alg_CMS3DESwrap, EVP_des_ede3_wrap, 24}};

struct KdfScheme {
  int nid;
  const char* digest;
};
constexpr KdfScheme kSchemes[] = {{NID_dhSinglePass_stdDH_sha1kdf_scheme, "sha1"},
                                  {NID_dhSinglePass_stdDH_sha256kdf_scheme, "sha256"},
                                  {NID_dhSinglePass_stdDH_sha384kdf_scheme, "sha384"},
                                  {NID_dhSinglePass_stdDH_sha512kdf_scheme, "sha512"},
                                  {NID_dhSinglePass_cofactorDH_sha1kdf_scheme, "sha1"},
                                  {NID_dhSinglePass_cofactorDH_sha256kdf_scheme, "sha256"},
                                  {NID_dhSinglePass_cofactorDH_sha384kdf_scheme, "sha384"},
                                  {NID_dhSinglePass_cofactorDH_sha512kdf_scheme, "sha512"}};

// 8 octets of integrity check for AES, an IV and a block for Triple DES.
constexpr std::size_t kMostOverhead = 32;

CipherContext wrapping_context() {
  CipherContext context(ossl::check_ptr(EVP_CIPHER_CTX_new(), "wrap a key"));
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  return context;
}

}  // namespace

const KeyWrap* key_wrap(int nid) {
  const auto* found = std::find_if(std::begin(kWraps), std::end(kWraps),
                                   [nid](const KeyWrap& wrap) { return wrap.nid == nid; });
  return found == std::end(kWraps) ? nullptr : found;
}

const ossl::DigestType* kdf_digest(int scheme_nid) {
  for (const KdfScheme& scheme : kSchemes) {
    if (scheme.nid == scheme_nid) return &ossl::digest_named(scheme.digest);
  }
  return nullptr;
}

Bytes shared_info(ByteView wrap_algorithm, const std::optional<Bytes>& user_material,
                  std::size_t key_size) {
  const std::size_t bits = 8 * key_size;
  const std::array<unsigned char, 4> length{0, 0, static_cast<unsigned char>(bits >> 8),
                                            static_cast<unsigned char>(bits)};
  const Bytes material = user_material ? der(context_tag(0) | kConstructed,
                                             {der(kOctetString, {ByteView(*user_material)})})
                                       : Bytes{};
  return der(kSequence,
             {wrap_algorithm, material,
              der(context_tag(2) | kConstructed, {der(kOctetString, {ByteView(length)})})});
}

Secret key_encryption_key(const Secret& shared, const ossl::DigestType& digest, ByteView info,
                          std::size_t key_size) {
  const char* doing = "derive a key-encryption key";
  ossl::clear_errors();
  const Kdf kdf(ossl::check_ptr(EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_X963KDF, nullptr), doing));
  const KdfContext context(ossl::check_ptr(EVP_KDF_CTX_new(kdf.get()), doing));
  std::string name = digest.name;
  const auto octets = [](const char* key, ByteView bytes) {
    return OSSL_PARAM_construct_octet_string(key, const_cast<unsigned char*>(bytes.data()),
                                             bytes.size());
  };
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name.data(), 0),
      octets(OSSL_KDF_PARAM_SECRET, shared.reveal()), octets(OSSL_KDF_PARAM_INFO, info),
      OSSL_PARAM_construct_end()};
  Bytes key(key_size);
  ossl::check(EVP_KDF_derive(context.get(), key.data(), key.size(), params) == 1, doing);
  return Secret::take(std::move(key));
}

Bytes wrap_key(const KeyWrap& wrap, const Secret& wrapping_key, const Secret& key) {
  const char* doing = "wrap a key";
  const CipherContext context = wrapping_context();
  Bytes wrapped(key.size() + kMostOverhead);
  int size = 0;
  ossl::check(EVP_EncryptInit_ex(context.get(), wrap.cipher(), nullptr,
                                 wrapping_key.reveal().data(), nullptr) == 1 &&
                  EVP_EncryptUpdate(context.get(), wrapped.data(), &size, key.reveal().data(),
                                    static_cast<int>(key.size())) == 1,
              doing);
  wrapped.resize(static_cast<std::size_t>(size));
  return wrapped;
}

std::optional<Secret> unwrap_key(const KeyWrap& wrap, const Secret& wrapping_key,
                                 ByteView wrapped) {
  if (wrapped.size() < 16 || wrapped.size() > 1024) return std::nullopt;
  const CipherContext context = wrapping_context();
  ossl::check(EVP_DecryptInit_ex(context.get(), wrap.cipher(), nullptr,
                                 wrapping_key.reveal().data(), nullptr) == 1,
              "unwrap a key");
  Bytes key(wrapped.size() + kMostOverhead);
  int size = 0;
  const bool done = EVP_DecryptUpdate(context.get(), key.data(), &size, wrapped.data(),
                                      static_cast<int>(wrapped.size())) == 1 &&
                    size > 0;
  ossl::clear_errors();
  key.resize(done ? static_cast<std::size_t>(size) : 0);
  Secret unwrapped = Secret::take(std::move(key));
  if (!done) return std::nullopt;
  return unwrapped;
}

}  // namespace hsmith::cms
