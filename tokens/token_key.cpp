#include "tokens/token_key.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <openssl/rand.h>

#include "pkcs11/error.h"
#include "pkcs11/names.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/ossl/rsa_encryption.h"
#include "tokens/hash_mechanism.h"
#include "tokens/token_decryption.h"

namespace hsmith::tokens {
namespace {

using ossl::KeyAlgorithm;
using ossl::Padding;
using ossl::Scheme;
using pkcs11::Mechanism;
using pkcs11::Template;

Mechanism pss_mechanism(const ossl::DigestType& digest) {
  const HashMechanism& entry = hash_mechanism(digest);
  return pkcs11::with_parameters(CKM_RSA_PKCS_PSS,
                                 CK_RSA_PKCS_PSS_PARAMS{entry.hash, entry.mgf, digest.size});
}

// EMSA-PKCS1-v1_5 (RFC 8017, 9.2): 00 01 FF…FF 00 DigestInfo, as long as the modulus.
Bytes padded_block(const EVP_PKEY* key, ByteView digest_info) {
  const auto size = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  if (digest_info.size() + 11 > size)
    throw Error(Kind::unsupported, "the key is too short for this digest");
  Bytes block(size, 0xff);
  block[0] = 0;
  block[1] = 1;
  block[size - digest_info.size() - 1] = 0;
  std::copy(digest_info.begin(), digest_info.end(),
            block.end() - static_cast<ptrdiff_t>(digest_info.size()));
  return block;
}

void set_may_sign(const pkcs11::Session& session, const Key& key, bool may) {
  Template flag;
  flag.set_bool(CKA_SIGN, may);
  session.set(key.handle, flag);
}

void take_back_signing(const pkcs11::Session& session, const Key& key) {
  set_may_sign(session, key, false);
  static constexpr CK_ATTRIBUTE_TYPE kSign[] = {CKA_SIGN};
  if (session.get(key.handle, kSign).flag(CKA_SIGN) != false)
    throw Error(Kind::token_failed, "the token does not take it back");
}

// What tokens answer that do not let a key's use be changed.
bool is_refused_change(const Error& error) {
  static constexpr std::array kRefusals{"CKR_ATTRIBUTE_READ_ONLY", "CKR_ATTRIBUTE_TYPE_INVALID",
                                        "CKR_ATTRIBUTE_VALUE_INVALID", "CKR_TEMPLATE_INCONSISTENT",
                                        "CKR_ACTION_PROHIBITED"};
  return std::find(kRefusals.begin(), kRefusals.end(), error.ckr()) != kRefusals.end();
}

class TokenKey : public ossl::RemoteKey {
 public:
  TokenKey(const OpenToken& token, const Key& key, ossl::PKey public_half, Signing signing)
      : token_(token), key_(key), public_half_(std::move(public_half)), signing_(signing) {}

  EVP_PKEY* public_key() const override { return public_half_.get(); }

  Bytes sign(const Scheme& scheme, ByteView input) override {
    const Bytes signature = unverified_signature(scheme, input);
    if (ossl::verify(public_half_.get(), scheme, input, signature)) return signature;
    throw Error(Kind::token_failed,
                fmt::format("sign with {}: the token's signature does not verify with the "
                            "key's public half; it was not given out",
                            key_.uri))
        .hint("key and public key may not belong together: hsmith key show " +
              shell_word(key_.uri));
  }

  // What the token answers, in the form that X.509 uses.
  Bytes unverified_signature(const Scheme& scheme, ByteView input) {
    if (signing_ == Signing::anything) check_may_sign(key_);
    try {
      return key_.sign != false ? signature_of(scheme, input)
                                : signature_of_non_signer(scheme, input);
    } catch (const Error& error) {
      throw error.during("sign with " + key_.uri);
    }
  }

  Secret decrypt(const ossl::RsaEncryption& how, ByteView ciphertext) override {
    return decryption().decrypt(how, ciphertext);
  }

  ossl::DecryptedKey decrypt_key(const ossl::RsaEncryption& how, ByteView ciphertext,
                                 std::size_t size) override {
    return decryption().decrypt_key(how, ciphertext, size);
  }

  Secret derive(ByteView peer_point) override { return decryption().derive(peer_point); }

 private:
  TokenDecryption decryption() const { return {token_, key_, public_half_.get()}; }

  std::function<void()> authenticate() const {
    return key_.always_authenticate ? token_.authenticate : std::function<void()>{};
  }

  Bytes token_signature(const Mechanism& mechanism, ByteView input) const {
    return token_.session->sign(mechanism, key_.handle, input, authenticate());
  }

  Bytes signature_of(const Scheme& scheme, ByteView input) const {
    switch (ossl::algorithm_of(public_half_.get())) {
      case KeyAlgorithm::ed25519:
        return token_signature({CKM_EDDSA, {}}, input);
      case KeyAlgorithm::ec:
        return ecdsa_signature(input);
      default:
        if (scheme.padding == Padding::pss)
          return token_signature(pss_mechanism(*scheme.digest), input);
        return token_signature({CKM_RSA_PKCS, {}}, ossl::digest_info(*scheme.digest, input));
    }
  }

  // Of a digest that is longer than the order only the first bits count (FIPS 186-4, 6.4). Tokens
  // leave the others out; ykcs11 2.2 fails.
  Bytes ecdsa_signature(ByteView input) const {
    const auto order = static_cast<std::size_t>(EVP_PKEY_get_bits(public_half_.get()));
    if (order % 8 == 0 && input.size() > order / 8) input = input.first(order / 8);
    const Bytes raw = token_signature({CKM_ECDSA, {}}, input);
    try {
      return ossl::ecdsa_der_from_raw(public_half_.get(), raw);
    } catch (const Error& error) {  // the token's answer is what is malformed
      throw Error(Kind::token_failed, error.what());
    }
  }

  // Raw decryption changes nothing on the token, so it comes first; where the token does not have
  // it, or the key is for ECDH, CKA_SIGN is set for one signature and taken back.
  Bytes signature_of_non_signer(const Scheme& scheme, ByteView input) const {
    const bool rsa_pkcs1 = scheme.padding == Padding::pkcs1 && key_.decrypt != false;
    if (rsa_pkcs1) {
      try {
        const Bytes block =
            padded_block(public_half_.get(), ossl::digest_info(*scheme.digest, input));
        return to_bytes(decryption().decrypt({ossl::RsaPadding::none}, block).reveal());
      } catch (const Error& error) {
        if (error.kind() != Kind::unsupported) throw;
      }
    }
    return signature_while_allowed(scheme, input);
  }

  Bytes signature_while_allowed(const Scheme& scheme, ByteView input) const {
    const auto writable =
        pkcs11::Session::open(token_.module, token_.slot, pkcs11::Access::read_write);
    std::optional<Bytes> signature;
    std::optional<Error> failed;
    try {
      set_may_sign(*writable, key_, true);
      signature = signature_of(scheme, input);
    } catch (const Error& error) {
      if (is_refused_change(error)) {
        throw Error(Kind::unsupported, fmt::format("the key was not made for signing, and the "
                                                   "token does not let it be changed: {}",
                                                   error.what()))
            .ckr(error.ckr());
      }
      failed = error;
    }
    try {
      take_back_signing(*writable, key_);
    } catch (const Error& error) {
      const bool is_certain = error.ckr().empty();  // it was read back
      const Error& first = failed ? *failed : error;
      throw Error(first.kind(), fmt::format("{}the key {} able to sign: {}",
                                            failed ? failed->what() + std::string("; ") : "",
                                            is_certain ? "stays" : "may still be", error.what()))
          .ckr(first.ckr())
          .hint("take it back with: hsmith doctor --repair")
          .unfinished();
    }
    if (failed) throw *failed;
    writable->close();
    return std::move(*signature);
  }

  OpenToken token_;
  Key key_;
  ossl::PKey public_half_;
  Signing signing_;
};

bool proves_by_signature(TokenKey& key) {
  const ossl::Scheme scheme = ossl::choose_scheme(key.public_key(), "", "");
  Bytes challenge(scheme.digest != nullptr ? scheme.digest->size : 32);
  ossl::check(RAND_bytes(challenge.data(), static_cast<int>(challenge.size())) == 1,
              "make a challenge");
  return ossl::verify(key.public_key(), scheme, challenge,
                      key.unverified_signature(scheme, challenge));
}

bool proves_by_decryption(TokenKey& key) {
  std::array<unsigned char, 32> nonce;
  ossl::check(RAND_bytes(nonce.data(), nonce.size()) == 1, "make a nonce");
  const ossl::RsaEncryption how{ossl::RsaPadding::pkcs1};
  // A number below every modulus of this size: another key then answers with something else, and
  // not as if the token had failed (SoftHSM 2.6.1).
  Bytes ciphertext;
  do ciphertext = ossl::rsa_encrypt(key.public_key(), how, nonce);
  while ((ciphertext.front() & 0x80) != 0);
  const auto decrypted = key.decrypt_key(how, ciphertext, nonce.size());
  return decrypted.good && equal(decrypted.key.reveal(), nonce);
}

bool proves_by_agreement(TokenKey& key) {
  const ossl::PKeyContext generator(EVP_PKEY_CTX_new_from_pkey(nullptr, key.public_key(), nullptr));
  EVP_PKEY* made = nullptr;
  ossl::check(generator && EVP_PKEY_keygen_init(generator.get()) == 1 &&
                  EVP_PKEY_keygen(generator.get(), &made) == 1,
              "make an ephemeral key");
  const ossl::PKey ephemeral(made);
  const ossl::PKeyContext agreement(EVP_PKEY_CTX_new_from_pkey(nullptr, ephemeral.get(), nullptr));
  std::size_t size = 0;
  ossl::check(agreement && EVP_PKEY_derive_init(agreement.get()) == 1 &&
                  EVP_PKEY_derive_set_peer(agreement.get(), key.public_key()) == 1 &&
                  EVP_PKEY_derive(agreement.get(), nullptr, &size) == 1,
              "agree on a secret");
  Bytes ours(size);
  ossl::check(EVP_PKEY_derive(agreement.get(), ours.data(), &size) == 1, "agree on a secret");
  const Secret expected = Secret::take(std::move(ours));
  return equal(key.derive(ossl::public_key_bits(ephemeral.get())).reveal(), expected.reveal());
}

// False when type or curve, as far as the token tells them, are not those of the public key.
bool may_belong(const Key& key, EVP_PKEY* public_key) {
  if (key.public_key) return ossl::same_public_key(key.public_key.get(), public_key);
  const std::string type = ossl::key_type_name(public_key);
  if (key.curve != nullptr) return type == key.curve->name;
  const KeyAlgorithm algorithm = ossl::algorithm_of(public_key);
  if (key.type == CKK_RSA) return algorithm == KeyAlgorithm::rsa;
  if (key.type == CKK_EC_EDWARDS) return algorithm == KeyAlgorithm::ed25519;
  const auto is_ours = [&](const ossl::KeyType& one) { return one.name == type; };
  // The curve of one of ours would be known.
  if (key.type == CKK_EC)
    return algorithm == KeyAlgorithm::ec && std::ranges::none_of(ossl::key_types(), is_ours);
  return !key.type;
}

}  // namespace

void check_may_sign(const Key& key) {
  if (key.sign != false) return;
  throw Error(Kind::unsupported,
              fmt::format("sign with {}: the key was not made for signing", key.uri))
      .hint("make a key with --use sign");
}

std::shared_ptr<ossl::RemoteKey> remote_key(const OpenToken& token, const Key& key,
                                            Signing signing) {
  return std::make_shared<TokenKey>(token, key, public_key_of(token, key), signing);
}

void forbid_signing(const OpenToken& token, const Key& key) {
  if (key.sign == false) return;
  try {
    take_back_signing(*token.session, key);
  } catch (const Error& error) {
    throw error.during("take back that it may sign from " + key.uri);
  }
}

bool holds_private_half(const OpenToken& token, const Key& key, EVP_PKEY* public_key) {
  if (!may_belong(key, public_key)) return false;
  TokenKey token_key(token, key, ossl::share(public_key), Signing::anything);
  if (key.sign != false) return proves_by_signature(token_key);
  if (ossl::algorithm_of(public_key) == KeyAlgorithm::rsa) return proves_by_decryption(token_key);
  return proves_by_agreement(token_key);
}

}  // namespace hsmith::tokens
