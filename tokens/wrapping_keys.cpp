#include "tokens/wrapping_keys.h"

#include <algorithm>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "src/base/error.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Mechanism;
using pkcs11::Template;
using Parameters = WrapParameters;

constexpr Wrapping kWrappings[] = {
    {CKM_AES_KEY_WRAP, CKK_AES, Parameters::none},
    {CKM_AES_KEY_WRAP_PAD, CKK_AES, Parameters::none},
    {CKM_AES_KEY_WRAP_KWP, CKK_AES, Parameters::none},
    {CKM_AES_ECB, CKK_AES, Parameters::none},
    {CKM_AES_CBC, CKK_AES, Parameters::iv16},
    {CKM_AES_CBC_PAD, CKK_AES, Parameters::iv16},
    {CKM_AES_CTS, CKK_AES, Parameters::iv16},
    {CKM_AES_OFB, CKK_AES, Parameters::iv16},
    {CKM_AES_CFB128, CKK_AES, Parameters::iv16},
    {CKM_AES_CFB8, CKK_AES, Parameters::iv16},
    {CKM_AES_CTR, CKK_AES, Parameters::counter},
    {CKM_AES_GCM, CKK_AES, Parameters::gcm},
    {CKM_DES3_ECB, CKK_DES3, Parameters::none},
    {CKM_DES3_CBC, CKK_DES3, Parameters::iv8},
    {CKM_DES3_CBC_PAD, CKK_DES3, Parameters::iv8},
    {CKM_DES_ECB, CKK_DES, Parameters::none},
    {CKM_DES_CBC, CKK_DES, Parameters::iv8},
    {CKM_DES_CBC_PAD, CKK_DES, Parameters::iv8},
    {CKM_CAMELLIA_ECB, CKK_CAMELLIA, Parameters::none},
    {CKM_CAMELLIA_CBC, CKK_CAMELLIA, Parameters::iv16},
    {CKM_CAMELLIA_CBC_PAD, CKK_CAMELLIA, Parameters::iv16},
    {CKM_SEED_ECB, CKK_SEED, Parameters::none},
    {CKM_SEED_CBC, CKK_SEED, Parameters::iv16},
    {CKM_SEED_CBC_PAD, CKK_SEED, Parameters::iv16},
    {CKM_ARIA_ECB, CKK_ARIA, Parameters::none},
    {CKM_ARIA_CBC, CKK_ARIA, Parameters::iv16},
    {CKM_ARIA_CBC_PAD, CKK_ARIA, Parameters::iv16},
    {CKM_RSA_PKCS, CKK_RSA, Parameters::none},
    {CKM_RSA_X_509, CKK_RSA, Parameters::none},
    {CKM_RSA_PKCS_OAEP, CKK_RSA, Parameters::oaep},
    {CKM_RSA_AES_KEY_WRAP, CKK_RSA, Parameters::rsa_aes},
};

// The cipher keys that are generated, with the size that CKA_VALUE_LEN asks for (0: it is fixed).
struct CipherKey {
  CK_KEY_TYPE type;
  CK_MECHANISM_TYPE generation;
  std::size_t size;
};
constexpr CipherKey kCipherKeys[] = {
    {CKK_AES, CKM_AES_KEY_GEN, 32},  {CKK_DES3, CKM_DES3_KEY_GEN, 0},
    {CKK_DES, CKM_DES_KEY_GEN, 0},   {CKK_CAMELLIA, CKM_CAMELLIA_KEY_GEN, 32},
    {CKK_SEED, CKM_SEED_KEY_GEN, 0}, {CKK_ARIA, CKM_ARIA_KEY_GEN, 32},
};

// CK_RSA_AES_KEY_WRAP_PARAMS (PKCS#11 2.40 mechanisms, 2.1.21), which p11-kit's header lacks.
struct RsaAesKeyWrapParameters {
  CK_ULONG aes_key_bits;
  CK_RSA_PKCS_OAEP_PARAMS* oaep;
};

// A security officer has no private objects.
Template secret_template(const OpenToken& token, CK_KEY_TYPE type) {
  Template key;
  key.set_number(CKA_CLASS, CKO_SECRET_KEY)
      .set_number(CKA_KEY_TYPE, type)
      .set_bool(CKA_TOKEN, false)
      .set_bool(CKA_SENSITIVE, false)
      .set_bool(CKA_EXTRACTABLE, true);
  if (token.login != Login::user) key.set_bool(CKA_PRIVATE, false);
  return key;
}

CK_OBJECT_HANDLE create_with_value(const OpenToken& token, CK_KEY_TYPE type, const Secret& value,
                                   SessionObjects& objects) {
  Template key = secret_template(token, type);
  key.set_bool(CKA_WRAP, true).set_bool(CKA_UNWRAP, true).set(CKA_VALUE, value.reveal());
  return objects.keep(token.session->create(key));
}

Secret random_secret(std::size_t size) {
  Bytes bytes(size);
  ossl::check(RAND_priv_bytes(bytes.data(), static_cast<int>(size)) == 1, "make a session key");
  return Secret::take(std::move(bytes));
}

void make_cipher_key(const OpenToken& token, const CipherKey& kind, WrappingKey& made,
                     SessionObjects& objects) {
  if (kind.type == CKK_AES) {
    try {
      made.value = random_secret(kind.size);
      made.handle = create_with_value(token, kind.type, made.value, objects);
      return;
    } catch (const Error& error) {
      if (error.ckr().empty()) throw;
      made.value = Secret();
    }
  }
  Template key = secret_template(token, kind.type);
  key.set_bool(CKA_WRAP, true).set_bool(CKA_UNWRAP, true);
  if (kind.size != 0) key.set_number(CKA_VALUE_LEN, kind.size);
  made.handle = objects.keep(token.session->generate({kind.generation, {}}, key));
}

void make_rsa_key(const OpenToken& token, WrappingKey& made, SessionObjects& objects) {
  made.private_half = ossl::PKey(ossl::check_ptr(
      EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048}), "make an RSA key"));
  BIGNUM* number = nullptr;
  ossl::check(EVP_PKEY_get_bn_param(made.private_half.get(), OSSL_PKEY_PARAM_RSA_N, &number) == 1,
              "read a modulus");
  const ossl::BigNumber modulus(number);
  Bytes bytes(static_cast<std::size_t>(BN_num_bytes(modulus.get())));
  BN_bn2bin(modulus.get(), bytes.data());
  static constexpr unsigned char kF4[] = {1, 0, 1};
  Template key;
  key.set_number(CKA_CLASS, CKO_PUBLIC_KEY)
      .set_number(CKA_KEY_TYPE, CKK_RSA)
      .set_bool(CKA_TOKEN, false)
      .set_bool(CKA_PRIVATE, false)
      .set_bool(CKA_WRAP, true)
      .set(CKA_MODULUS, bytes)
      .set(CKA_PUBLIC_EXPONENT, kF4);
  made.handle = objects.keep(token.session->create(key));
}

const EVP_CIPHER* cipher_of(CK_MECHANISM_TYPE type) {
  switch (type) {
    case CKM_AES_KEY_WRAP:
      return EVP_aes_256_wrap();
    case CKM_AES_KEY_WRAP_PAD:
    case CKM_AES_KEY_WRAP_KWP:
      return EVP_aes_256_wrap_pad();
    case CKM_AES_ECB:
      return EVP_aes_256_ecb();
    case CKM_AES_CBC:
    case CKM_AES_CBC_PAD:
      return EVP_aes_256_cbc();
    case CKM_AES_CTR:
      return EVP_aes_256_ctr();
    case CKM_AES_GCM:
      return EVP_aes_256_ctr();  // with the counter that GCM begins with
    default:
      return nullptr;
  }
}

Secret decrypted(const EVP_CIPHER* cipher, const Secret& key, ByteView iv, ByteView wrapped) {
  const std::unique_ptr<EVP_CIPHER_CTX, ossl::Deleter<EVP_CIPHER_CTX_free>> context(
      EVP_CIPHER_CTX_new());
  ossl::check(context != nullptr, "undo a wrapping");
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  Bytes out(wrapped.size() + 64);
  int size = 0;
  const bool done = EVP_DecryptInit_ex2(context.get(), cipher, key.reveal().data(),
                                        iv.empty() ? nullptr : iv.data(), nullptr) == 1 &&
                    EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1 &&
                    EVP_DecryptUpdate(context.get(), out.data(), &size, wrapped.data(),
                                      static_cast<int>(wrapped.size())) == 1;
  const Secret all = Secret::take(std::move(out));
  return done && size > 0 ? Secret(all.reveal().first(static_cast<std::size_t>(size))) : Secret();
}

Secret decrypted(EVP_PKEY* key, bool oaep, ByteView wrapped) {
  const ossl::PKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  const int padding = oaep ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING;
  Bytes out(static_cast<std::size_t>(EVP_PKEY_get_size(key)));
  std::size_t size = out.size();
  const bool done =
      context && EVP_PKEY_decrypt_init(context.get()) == 1 &&
      EVP_PKEY_CTX_set_rsa_padding(context.get(), padding) == 1 &&
      EVP_PKEY_decrypt(context.get(), out.data(), &size, wrapped.data(), wrapped.size()) == 1;
  const Secret all = Secret::take(std::move(out));
  return done ? Secret(all.reveal().first(size)) : Secret();
}

}  // namespace

const Wrapping* wrapping_by(CK_MECHANISM_TYPE type) {
  const auto* known = std::ranges::find(kWrappings, type, &Wrapping::type);
  return known == std::end(kWrappings) ? nullptr : known;
}

Mechanism mechanism_of(const Wrapping& wrapping) {
  static CK_RSA_PKCS_OAEP_PARAMS oaep{CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, nullptr, 0};
  static unsigned char iv[12] = {};
  switch (wrapping.parameters) {
    case Parameters::none:
      return {wrapping.type, {}};
    case Parameters::iv16:
      return {wrapping.type, Bytes(16)};
    case Parameters::iv8:
      return {wrapping.type, Bytes(8)};
    case Parameters::counter:
      return pkcs11::with_parameters(wrapping.type, CK_AES_CTR_PARAMS{128, {}});
    case Parameters::gcm:
      return pkcs11::with_parameters(wrapping.type,
                                     CK_GCM_PARAMS{iv, sizeof iv, 8 * sizeof iv, nullptr, 0, 128});
    case Parameters::oaep:
      return pkcs11::with_parameters(wrapping.type, oaep);
    default:
      return pkcs11::with_parameters(wrapping.type, RsaAesKeyWrapParameters{256, &oaep});
  }
}

WrappingKey make_wrapping_key(const OpenToken& token, CK_KEY_TYPE type, SessionObjects& objects) {
  WrappingKey made;
  try {
    if (type == CKK_RSA) {
      make_rsa_key(token, made, objects);
    } else {
      const auto* kind = std::ranges::find(kCipherKeys, type, &CipherKey::type);
      make_cipher_key(token, *kind, made, objects);
    }
  } catch (const Error& error) {
    if (error.kind() == Kind::token_removed || error.ckr().empty()) throw;
    made.failure = error;
  }
  return made;
}

CK_OBJECT_HANDLE make_ordinary_key(const OpenToken& token, SessionObjects& objects) {
  return create_with_value(token, CKK_AES, random_secret(32), objects);
}

bool can_open(const Wrapping& wrapping, const WrappingKey& by) {
  return by.private_half || (cipher_of(wrapping.type) != nullptr && !by.value.empty());
}

// CKM_AES_KEY_WRAP_PAD stands for three formats: RFC 5649, and RFC 3394 over a padded value (NSS
// 3.87) among them.
CameOut held_by(const Wrapping& wrapping, const WrappingKey& by, ByteView wrapped,
                EVP_PKEY* public_half) {
  if (by.private_half) {
    const bool oaep = wrapping.parameters == Parameters::oaep;
    return key_came_out(decrypted(by.private_half.get(), oaep, wrapped).reveal(), public_half);
  }
  if (!can_open(wrapping, by)) return CameOut::unknown;
  const EVP_CIPHER* cipher = cipher_of(wrapping.type);
  Bytes iv;
  if (wrapping.parameters == Parameters::iv16 || wrapping.parameters == Parameters::counter)
    iv = Bytes(16);
  if (wrapping.parameters == Parameters::gcm) {
    iv = Bytes(16);
    iv[15] = 2;  // SP 800-38D, 7.1: the counter after J0
  }
  const CameOut held = key_came_out(decrypted(cipher, by.value, iv, wrapped).reveal(), public_half);
  if (held != CameOut::unknown || wrapping.parameters != Parameters::none) return held;
  return key_came_out(decrypted(EVP_aes_256_wrap(), by.value, {}, wrapped).reveal(), public_half);
}

}  // namespace hsmith::tokens
