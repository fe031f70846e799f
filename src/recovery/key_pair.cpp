// Whether a private key is the other half of a public key.
#include <array>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "src/base/error.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/recovery/private_key.h"

namespace hsmith::recovery {
namespace {

using SecretNumber = std::unique_ptr<BIGNUM, ossl::Deleter<BN_clear_free>>;
using NumberContext = std::unique_ptr<BN_CTX, ossl::Deleter<BN_CTX_free>>;

SecretNumber number(const EVP_PKEY* key, const char* name) {
  BIGNUM* value = nullptr;
  EVP_PKEY_get_bn_param(key, name, &value);
  ossl::clear_errors();
  return SecretNumber(value);
}

SecretNumber result() {
  return SecretNumber(ossl::check_ptr(BN_secure_new(), "compute with a private key"));
}

bool is_one_modulo(const BIGNUM* a, const BIGNUM* b, const BIGNUM* modulus, BN_CTX* context) {
  const SecretNumber product = result();
  return BN_mod_mul(product.get(), a, b, modulus, context) == 1 && BN_is_one(product.get());
}

bool is_reduced(const BIGNUM* small, const BIGNUM* d, const BIGNUM* modulus, BN_CTX* context) {
  const SecretNumber rest = result();
  return BN_nnmod(rest.get(), d, modulus, context) == 1 && BN_cmp(rest.get(), small) == 0;
}

// RFC 8017, 3.2. lcm(p-1, q-1), not the product: Windows reduces d modulo the former.
std::string arithmetic_problem(const EVP_PKEY* key) {
  const SecretNumber n = number(key, OSSL_PKEY_PARAM_RSA_N), e = number(key, OSSL_PKEY_PARAM_RSA_E),
                     d = number(key, OSSL_PKEY_PARAM_RSA_D),
                     p = number(key, OSSL_PKEY_PARAM_RSA_FACTOR1),
                     q = number(key, OSSL_PKEY_PARAM_RSA_FACTOR2),
                     dp = number(key, OSSL_PKEY_PARAM_RSA_EXPONENT1),
                     dq = number(key, OSSL_PKEY_PARAM_RSA_EXPONENT2),
                     iq = number(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
  if (!n || !e || !d || !p || !q || !dp || !dq || !iq) return "numbers of the RSA key are missing";
  const NumberContext context(BN_CTX_secure_new());
  const SecretNumber product = result(), p1 = result(), q1 = result(), gcd = result(),
                     lambda = result();
  if (BN_is_one(p.get()) || BN_is_one(q.get()) ||
      BN_mul(product.get(), p.get(), q.get(), context.get()) != 1 ||
      BN_cmp(product.get(), n.get()) != 0) {
    return "its primes do not make its modulus";
  }
  ossl::check(BN_sub(p1.get(), p.get(), BN_value_one()) == 1 &&
                  BN_sub(q1.get(), q.get(), BN_value_one()) == 1 &&
                  BN_gcd(gcd.get(), p1.get(), q1.get(), context.get()) == 1 &&
                  BN_mul(product.get(), p1.get(), q1.get(), context.get()) == 1 &&
                  BN_div(lambda.get(), nullptr, product.get(), gcd.get(), context.get()) == 1,
              "compute with a private key");
  if (!is_one_modulo(e.get(), d.get(), lambda.get(), context.get()))
    return "its private exponent does not fit its public one";
  const bool fits = is_reduced(dp.get(), d.get(), p1.get(), context.get()) &&
                    is_reduced(dq.get(), d.get(), q1.get(), context.get()) &&
                    is_one_modulo(iq.get(), q.get(), p.get(), context.get());
  return fits ? "" : "its CRT numbers do not fit its primes";
}

std::array<unsigned char, 32> nonce() {
  std::array<unsigned char, 32> bytes;
  ossl::check(RAND_bytes(bytes.data(), bytes.size()) == 1, "make a nonce");
  return bytes;
}

ossl::PKeyContext context_of(EVP_PKEY* key) {
  return ossl::PKeyContext(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
}

// Encrypted with the public key that the private one shall fit, decrypted with the private one.
bool decrypts(EVP_PKEY* private_key, EVP_PKEY* public_key) {
  const auto sent = nonce();
  Bytes ciphertext(static_cast<std::size_t>(EVP_PKEY_get_size(public_key)));
  std::size_t size = ciphertext.size();
  const auto encryption = context_of(public_key);
  ossl::check(encryption && EVP_PKEY_encrypt_init(encryption.get()) == 1 &&
                  EVP_PKEY_encrypt(encryption.get(), ciphertext.data(), &size, sent.data(),
                                   sent.size()) == 1,
              "encrypt a nonce");
  Bytes opened(static_cast<std::size_t>(EVP_PKEY_get_size(private_key)));
  std::size_t opened_size = opened.size();
  const auto decryption = context_of(private_key);
  const bool ok =
      decryption && EVP_PKEY_decrypt_init(decryption.get()) == 1 &&
      EVP_PKEY_decrypt(decryption.get(), opened.data(), &opened_size, ciphertext.data(), size) == 1;
  ossl::clear_errors();
  return ok && equal(ByteView(opened).first(opened_size), sent);
}

Secret agreed(EVP_PKEY* ours, EVP_PKEY* theirs) {
  const auto agreement = context_of(ours);
  std::size_t size = 0;
  ossl::check(agreement && EVP_PKEY_derive_init(agreement.get()) == 1 &&
                  EVP_PKEY_derive_set_peer(agreement.get(), theirs) == 1 &&
                  EVP_PKEY_derive(agreement.get(), nullptr, &size) == 1,
              "agree on a secret");
  Bytes secret(size);
  ossl::check(EVP_PKEY_derive(agreement.get(), secret.data(), &size) == 1, "agree on a secret");
  secret.resize(size);
  return Secret::take(std::move(secret));
}

bool agrees(EVP_PKEY* private_key, EVP_PKEY* public_key) {
  const auto generator = context_of(public_key);
  EVP_PKEY* made = nullptr;
  ossl::check(generator && EVP_PKEY_keygen_init(generator.get()) == 1 &&
                  EVP_PKEY_keygen(generator.get(), &made) == 1,
              "make an ephemeral key");
  const ossl::PKey ephemeral(made);
  const ossl::PKey peer = ossl::public_key_from_spki(ossl::spki_of(ephemeral.get()));
  return equal(agreed(private_key, peer.get()).reveal(),
               agreed(ephemeral.get(), public_key).reveal());
}

bool signs(EVP_PKEY* private_key, EVP_PKEY* public_key) {
  const auto message = nonce();
  const ossl::DigestContext context(EVP_MD_CTX_new());
  std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(private_key));
  Bytes signature(size);
  ossl::check(
      context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, private_key) == 1 &&
          EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) ==
              1,
      "sign a nonce");
  const ossl::DigestContext verification(EVP_MD_CTX_new());
  const bool ok =
      verification &&
      EVP_DigestVerifyInit(verification.get(), nullptr, nullptr, nullptr, public_key) == 1 &&
      EVP_DigestVerify(verification.get(), signature.data(), size, message.data(),
                       message.size()) == 1;
  ossl::clear_errors();
  return ok;
}

}  // namespace

std::string pair_problem(EVP_PKEY* private_key, EVP_PKEY* public_key) {
  ossl::clear_errors();
  if (!ossl::same_public_key(private_key, public_key)) return "it belongs to another public key";
  if (EVP_PKEY_is_a(private_key, "RSA") == 1) {
    std::string problem = arithmetic_problem(private_key);
    if (!problem.empty()) return problem;
    return decrypts(private_key, public_key) ? ""
                                             : "it does not decrypt what its public key "
                                               "encrypts";
  }
  const auto context = context_of(private_key);
  const bool is_pair = context && EVP_PKEY_pairwise_check(context.get()) == 1;
  ossl::clear_errors();
  if (!is_pair) return "its private and public number do not belong together";
  if (EVP_PKEY_is_a(private_key, "EC") == 1)
    return agrees(private_key, public_key) ? "" : "it does not agree with its public key";
  return signs(private_key, public_key) ? "" : "its signature does not verify";
}

}  // namespace hsmith::recovery
