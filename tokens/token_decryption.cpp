#include "tokens/token_decryption.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <openssl/core_names.h>

#include "pkcs11/liveness.h"
#include "src/base/error.h"
#include "src/ossl/check.h"
#include "tokens/hash_mechanism.h"
#include "tokens/templates.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Mechanism;

// `how` must outlive the mechanism, which borrows the label.
Mechanism oaep_mechanism(const ossl::RsaEncryption& how) {
  if (how.digest == nullptr || how.mgf1 == nullptr)
    throw Error(Kind::internal, "decrypt with OAEP: no digest is given");
  return pkcs11::with_parameters(
      CKM_RSA_PKCS_OAEP,
      CK_RSA_PKCS_OAEP_PARAMS{
          hash_mechanism(*how.digest).hash, hash_mechanism(*how.mgf1).mgf, CKZ_DATA_SPECIFIED,
          how.label.empty() ? nullptr : const_cast<unsigned char*>(how.label.data()),
          how.label.size()});
}

Mechanism decryption_mechanism(const ossl::RsaEncryption& how) {
  if (how.padding == ossl::RsaPadding::oaep) return oaep_mechanism(how);
  return {how.padding == ossl::RsaPadding::pkcs1 ? CKM_RSA_PKCS : CKM_RSA_X_509, {}};
}

// True when another mechanism may do where this one was refused: the refusal came before the token
// saw a ciphertext, and is not about its state (SoftHSM 2.6.1: ARGUMENTS_BAD for OAEP with SHA-256,
// GENERAL_ERROR for a label).
bool is_about_mechanism(const Error& error) {
  static constexpr std::array kCodes{"CKR_ARGUMENTS_BAD", "CKR_GENERAL_ERROR",
                                     "CKR_FUNCTION_FAILED", "CKR_KEY_FUNCTION_NOT_PERMITTED"};
  return error.kind() == Kind::unsupported ||
         std::find(kCodes.begin(), kCodes.end(), error.ckr()) != kCodes.end();
}

// What tokens answer to a ciphertext that is not padded as it should be.
bool is_bad_ciphertext(const Error& error) {
  static constexpr std::array kCodes{"CKR_ENCRYPTED_DATA_INVALID", "CKR_ENCRYPTED_DATA_LEN_RANGE",
                                     "CKR_WRAPPED_KEY_INVALID",    "CKR_WRAPPED_KEY_LEN_RANGE",
                                     "CKR_DATA_INVALID",           "CKR_DATA_LEN_RANGE",
                                     "CKR_GENERAL_ERROR",          "CKR_FUNCTION_FAILED"};
  return std::find(kCodes.begin(), kCodes.end(), error.ckr()) != kCodes.end();
}

// RFC 8017, 5.1.2 step 1.
bool is_below_modulus(const EVP_PKEY* key, ByteView ciphertext) {
  BIGNUM* modulus = nullptr;
  ossl::check(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1, "read a modulus");
  const ossl::BigNumber n(modulus);
  const ossl::BigNumber c(
      BN_bin2bn(ciphertext.data(), static_cast<int>(ciphertext.size()), nullptr));
  return ciphertext.size() == static_cast<std::size_t>(EVP_PKEY_get_size(key)) && c &&
         BN_cmp(c.get(), n.get()) < 0;
}

// What tokens answer that want the peer's point in the other encoding. That it is on the curve was
// looked at before.
bool is_about_point(const Error& error) {
  static constexpr std::array kCodes{
      "CKR_MECHANISM_PARAM_INVALID", "CKR_ARGUMENTS_BAD", "CKR_DOMAIN_PARAMS_INVALID",
      "CKR_PUBLIC_KEY_INVALID",      "CKR_DATA_INVALID",  "CKR_DATA_LEN_RANGE"};
  return std::find(kCodes.begin(), kCodes.end(), error.ckr()) != kCodes.end();
}

// A number of fixed length; some tokens drop its leading zeros.
Secret with_leading_zeros(const Secret& number, std::size_t size) {
  if (number.size() > size)
    throw Error(Kind::token_failed, "the token's answer is longer than the key");
  Bytes whole(size - number.size(), 0);
  whole.reserve(size);
  whole.insert(whole.end(), number.reveal().begin(), number.reveal().end());
  return Secret::take(std::move(whole));
}

std::function<void()> authenticate(const TokenDecryption& at) {
  return at.key.always_authenticate ? at.token.authenticate : std::function<void()>{};
}

// False when the token does not take the mechanism for this key; why is kept.
bool begin_decrypt(TokenDecryption& at, const Mechanism& mechanism) {
  try {
    at.token.session->begin_decrypt(mechanism, at.key.handle);
    return true;
  } catch (const Error& error) {
    if (!is_about_mechanism(error)) throw;
    at.refusal = error;
    return false;
  }
}

std::optional<Secret> block_of(TokenDecryption& at, ByteView ciphertext) {
  if (at.key.decrypt == false) return std::nullopt;
  if (!is_below_modulus(at.public_half, ciphertext))
    throw Error(Kind::decryption_failed, "the ciphertext is no number below the modulus");
  if (!begin_decrypt(at, {CKM_RSA_X_509, {}})) return std::nullopt;
  const Secret block = at.token.session->decrypt(ciphertext, authenticate(at));
  return with_leading_zeros(block, ciphertext.size());
}

// Bare RSA comes first for PKCS#1 v1.5: the token then answers every ciphertext alike, and what
// its padding is only this process gets to know, in constant time. OAEP is left to a token that
// has it, unless its two digests differ: OpenSC 0.23 takes one for both, and what was encrypted for
// malformed.
bool is_bare_first(const ossl::RsaEncryption& how) {
  return how.padding != ossl::RsaPadding::oaep || how.digest != how.mgf1;
}

// nullopt: the token does not do bare RSA with this key, or it is not its turn.
std::optional<Secret> block_before(TokenDecryption& at, const ossl::RsaEncryption& how,
                                   ByteView ciphertext) {
  if (!is_bare_first(how)) return std::nullopt;
  return block_of(at, ciphertext);
}
std::optional<Secret> block_after(TokenDecryption& at, const ossl::RsaEncryption& how,
                                  ByteView ciphertext) {
  if (is_bare_first(how)) return std::nullopt;
  return block_of(at, ciphertext);
}

Secret read_and_destroy(const TokenDecryption& at, CK_OBJECT_HANDLE secret) {
  static constexpr CK_ATTRIBUTE_TYPE kValue[] = {CKA_VALUE};
  Secret value = Secret::take(at.token.session->get(secret, kValue).bytes(CKA_VALUE));
  at.token.session->destroy(secret);
  if (!value.empty()) return value;
  throw Error(Kind::unsupported, "the token does not let a secret of a session be read");
}

// For keys that may unwrap but not decrypt: as a session object that can be read.
std::optional<Secret> unwrapped(const TokenDecryption& at, const ossl::RsaEncryption& how,
                                ByteView ciphertext) {
  return read_and_destroy(at, at.token.session->unwrap(decryption_mechanism(how), at.key.handle,
                                                       ciphertext, readable_secret_template(0)));
}

Secret unpadded(const ossl::RsaEncryption& how, const Secret& block) {
  auto message = ossl::unpad(how, block.reveal());
  if (message) return std::move(*message);
  throw Error(Kind::decryption_failed, "the padding is not " + ossl::describe(how));
}

// The token undoes the padding: nullopt when it does not have that.
std::optional<Secret> token_decryption(TokenDecryption& at, const ossl::RsaEncryption& how,
                                       ByteView ciphertext) {
  if (how.padding == ossl::RsaPadding::none) return std::nullopt;
  std::optional<Secret> message;
  std::optional<Error> bad_ciphertext;
  try {
    if (at.key.decrypt == false) {
      if (at.key.unwrap != true) return std::nullopt;
      message = unwrapped(at, how, ciphertext);
    } else {
      if (!begin_decrypt(at, decryption_mechanism(how))) return std::nullopt;
      message = at.token.session->decrypt(ciphertext, authenticate(at));
    }
  } catch (const Error& error) {
    if (error.kind() == Kind::unsupported) return std::nullopt;
    if (!is_bad_ciphertext(error)) throw;
    bad_ciphertext = error;
  }
  // Asked in either case: the time that it takes does not tell them apart.
  const bool answers = pkcs11::still_answers(*at.token.module, at.token.slot, at.token.info);
  if (!bad_ciphertext) return message;
  if (!answers) throw *bad_ciphertext;
  throw Error(Kind::decryption_failed, bad_ciphertext->what()).ckr(bad_ciphertext->ckr());
}

Error cannot_decrypt(const TokenDecryption& at, const ossl::RsaEncryption& how) {
  const std::string doing = fmt::format("decrypt with {}: ", at.key.uri);
  if (at.key.decrypt == false && at.key.unwrap != true) {
    return Error(Kind::unsupported, doing + "the key was not made for decryption")
        .hint("make a key with --use decrypt");
  }
  // What was not about this mechanism alone, since no other was taken either.
  if (at.refusal && at.refusal->kind() != Kind::unsupported)
    return at.refusal->during("decrypt with " + at.key.uri);
  return Error(Kind::unsupported,
               fmt::format("{}the token does {} with this key neither itself nor by bare RSA",
                           doing, ossl::describe(how)))
      .hint("see what the token offers with: hsmith token info");
}

Secret derive_with(const TokenDecryption& at, ByteView point) {
  Bytes parameters = to_bytes(point);
  const CK_ECDH1_DERIVE_PARAMS ecdh{CKD_NULL, 0, nullptr, parameters.size(), parameters.data()};
  const auto size = static_cast<std::size_t>(EVP_PKEY_get_bits(at.public_half) + 7) / 8;
  const Secret value =
      read_and_destroy(at, at.token.session->derive(pkcs11::with_parameters(CKM_ECDH1_DERIVE, ecdh),
                                                    at.key.handle, readable_secret_template(size)));
  return with_leading_zeros(value, size);
}

}  // namespace

Secret TokenDecryption::decrypt(const ossl::RsaEncryption& how, ByteView ciphertext) {
  try {
    if (auto block = block_before(*this, how, ciphertext)) return unpadded(how, *block);
    if (auto message = token_decryption(*this, how, ciphertext)) return std::move(*message);
    if (auto block = block_after(*this, how, ciphertext)) return unpadded(how, *block);
  } catch (const Error& error) {
    throw error.during("decrypt with " + key.uri);
  }
  throw cannot_decrypt(*this, how);
}

ossl::DecryptedKey TokenDecryption::decrypt_key(const ossl::RsaEncryption& how, ByteView ciphertext,
                                                std::size_t size) {
  try {
    if (auto block = block_before(*this, how, ciphertext))
      return ossl::unpad_key(how, block->reveal(), size);
    if (auto message = token_decryption(*this, how, ciphertext)) {
      if (message->size() == size) return {std::move(*message), true};
      return ossl::random_key(size);
    }
    if (auto block = block_after(*this, how, ciphertext))
      return ossl::unpad_key(how, block->reveal(), size);
  } catch (const Error& error) {
    if (error.kind() == Kind::decryption_failed) return ossl::random_key(size);
    throw error.during("decrypt with " + key.uri);
  }
  throw cannot_decrypt(*this, how);
}

Secret TokenDecryption::derive(ByteView peer_point) {
  if (key.derive == false) {
    throw Error(Kind::unsupported,
                fmt::format("derive with {}: the key was not made for key agreement", key.uri))
        .hint("make a key with --use derive");
  }
  ossl::ec_public_key(ossl::key_type_named(ossl::key_type_name(public_half)), peer_point);
  // The point goes raw; tokens that want it as an OCTET STRING (PKCS#11 2.20) get it so.
  try {
    return derive_with(*this, peer_point);
  } catch (const Error& error) {
    if (!is_about_point(error)) throw error.during("derive with " + key.uri);
  }
  try {
    ossl::OctetString wrapped(ASN1_OCTET_STRING_new());
    ossl::check(wrapped && ASN1_OCTET_STRING_set(wrapped.get(), peer_point.data(),
                                                 static_cast<int>(peer_point.size())) == 1,
                "wrap a point");
    return derive_with(*this, ossl::der_of(i2d_ASN1_OCTET_STRING, wrapped.get()));
  } catch (const Error& error) {
    throw error.during("derive with " + key.uri);
  }
}

}  // namespace hsmith::tokens
