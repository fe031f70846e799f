// Signatures: what an RSA key encrypts, the two forms of ECDSA, and verification.
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include "src/base/error.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/ossl/provider.h"

namespace hsmith::ossl {
namespace {

using DigestInfo = std::unique_ptr<X509_SIG, Deleter<X509_SIG_free>>;

using PssParams = std::unique_ptr<RSA_PSS_PARAMS, Deleter<RSA_PSS_PARAMS_free>>;
using Asn1String = std::unique_ptr<ASN1_STRING, Deleter<ASN1_STRING_free>>;

constexpr const char* kNaming = "name a signature algorithm";

// An AlgorithmIdentifier whose parameters are NULL or absent.
AlgorithmIdentifier plain_algorithm(int nid, int parameters) {
  AlgorithmIdentifier algorithm(check_ptr(X509_ALGOR_new(), kNaming));
  check(X509_ALGOR_set0(algorithm.get(), OBJ_nid2obj(nid), parameters, nullptr) == 1, kNaming);
  return algorithm;
}

// An AlgorithmIdentifier whose parameters are the DER of `item`.
AlgorithmIdentifier algorithm_with(int nid, void* item, const ASN1_ITEM* type) {
  Asn1String packed(check_ptr(ASN1_item_pack(item, type, nullptr), kNaming));
  AlgorithmIdentifier algorithm(check_ptr(X509_ALGOR_new(), kNaming));
  check(X509_ALGOR_set0(algorithm.get(), OBJ_nid2obj(nid), V_ASN1_SEQUENCE, packed.get()) == 1,
        kNaming);
  static_cast<void>(packed.release());
  return algorithm;
}

AlgorithmIdentifier pss_algorithm(const DigestType& digest) {
  const int nid = EVP_MD_get_type(digest.md());
  const AlgorithmIdentifier hash = plain_algorithm(nid, V_ASN1_NULL);
  const PssParams params(check_ptr(RSA_PSS_PARAMS_new(), kNaming));
  params->hashAlgorithm = plain_algorithm(nid, V_ASN1_NULL).release();
  params->maskGenAlgorithm =
      algorithm_with(NID_mgf1, hash.get(), ASN1_ITEM_rptr(X509_ALGOR)).release();
  params->saltLength = check_ptr(ASN1_INTEGER_new(), kNaming);
  check(ASN1_INTEGER_set(params->saltLength, static_cast<long>(digest.size)) == 1, kNaming);
  return algorithm_with(NID_rsassaPss, params.get(), ASN1_ITEM_rptr(RSA_PSS_PARAMS));
}

// Bytes of r and of s.
std::size_t ecdsa_width(const EVP_PKEY* key) {
  return static_cast<std::size_t>(EVP_PKEY_get_bits(key) + 7) / 8;
}

Error malformed_ecdsa(const std::string& why) {
  return Error(Kind::malformed, "read an ECDSA signature: " + why);
}

// A key from as_pkey(): its provider signs and does not verify.
bool is_remote(const EVP_PKEY* key) {
  const OSSL_PROVIDER* provider = EVP_PKEY_get0_provider(key);
  return provider != nullptr &&
         std::string_view(OSSL_PROVIDER_get0_name(provider)) == kProviderName;
}

bool verify_message(EVP_PKEY* key, ByteView message, ByteView signature) {
  const DigestContext context(EVP_MD_CTX_new());
  return context != nullptr &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

bool set_scheme(EVP_PKEY_CTX* context, const Scheme& scheme) {
  const EVP_MD* md = scheme.digest->md();
  if (EVP_PKEY_CTX_set_signature_md(context, md) != 1) return false;
  if (scheme.padding == Padding::pkcs1) {
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
  }
  if (scheme.padding == Padding::pss) {
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(context, md) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
  }
  return true;
}

bool verify_digest(EVP_PKEY* key, const Scheme& scheme, ByteView digest, ByteView signature) {
  const PKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  return context != nullptr && EVP_PKEY_verify_init(context.get()) == 1 &&
         set_scheme(context.get(), scheme) &&
         EVP_PKEY_verify(context.get(), signature.data(), signature.size(), digest.data(),
                         digest.size()) == 1;
}

}  // namespace

Bytes digest_info(const DigestType& type, ByteView digest) {
  if (digest.size() != type.size) {
    throw Error(Kind::malformed, "encode a digest: " + std::to_string(digest.size()) +
                                     " bytes are no " + type.name + " digest, which has " +
                                     std::to_string(type.size));
  }
  const DigestInfo info(check_ptr(X509_SIG_new(), "encode a digest"));
  X509_ALGOR* algorithm = nullptr;
  ASN1_OCTET_STRING* octets = nullptr;
  X509_SIG_getm(info.get(), &algorithm, &octets);
  ASN1_OBJECT* oid = OBJ_nid2obj(EVP_MD_get_type(type.md()));
  check(X509_ALGOR_set0(algorithm, oid, V_ASN1_NULL, nullptr) == 1 &&
            ASN1_OCTET_STRING_set(octets, digest.data(), static_cast<int>(digest.size())) == 1,
        "encode a digest");
  return der_of(i2d_X509_SIG, info.get());
}

Bytes algorithm_identifier(const EVP_PKEY* key, const Scheme& scheme) {
  const KeyAlgorithm algorithm = algorithm_of(key);
  if (algorithm == KeyAlgorithm::ed25519) {
    return der_of(i2d_X509_ALGOR, plain_algorithm(NID_ED25519, V_ASN1_UNDEF).get());
  }
  if (scheme.padding == Padding::pss) {
    return der_of(i2d_X509_ALGOR, pss_algorithm(*scheme.digest).get());
  }
  const bool rsa = algorithm == KeyAlgorithm::rsa;
  const int key_nid = rsa ? NID_rsaEncryption : NID_X9_62_id_ecPublicKey;
  int nid = NID_undef;
  check(OBJ_find_sigid_by_algs(&nid, EVP_MD_get_type(scheme.digest->md()), key_nid) == 1, kNaming);
  const int parameters = rsa ? V_ASN1_NULL : V_ASN1_UNDEF;
  return der_of(i2d_X509_ALGOR, plain_algorithm(nid, parameters).get());
}

bool verify(EVP_PKEY* key, const Scheme& scheme, ByteView digest_or_message, ByteView signature) {
  ERR_set_mark();
  PKey public_half;
  if (is_remote(key)) {
    public_half = public_key_from_spki(spki_of(key));
    key = public_half.get();
  }
  const bool verified = scheme.digest == nullptr
                            ? verify_message(key, digest_or_message, signature)
                            : verify_digest(key, scheme, digest_or_message, signature);
  ERR_pop_to_mark();
  return verified;
}

Bytes ecdsa_der_from_raw(const EVP_PKEY* key, ByteView raw) {
  const std::size_t width = ecdsa_width(key);
  if (raw.size() != 2 * width) {
    throw malformed_ecdsa(std::to_string(raw.size()) + " bytes where the curve needs " +
                          std::to_string(2 * width));
  }
  const int half = static_cast<int>(width);
  BigNumber r(check_ptr(BN_bin2bn(raw.data(), half, nullptr), "read r"));
  BigNumber s(check_ptr(BN_bin2bn(raw.data() + width, half, nullptr), "read s"));
  if (BN_is_zero(r.get()) || BN_is_zero(s.get())) throw malformed_ecdsa("r or s is zero");
  const EcdsaSignature signature(check_ptr(ECDSA_SIG_new(), "encode an ECDSA signature"));
  check(ECDSA_SIG_set0(signature.get(), r.get(), s.get()) == 1, "encode an ECDSA signature");
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  return der_of(i2d_ECDSA_SIG, signature.get());
}

Bytes ecdsa_raw_from_der(const EVP_PKEY* key, ByteView der) {
  clear_errors();
  const unsigned char* at = der.data();
  const EcdsaSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (signature == nullptr || at != der.data() + der.size()) {
    clear_errors();
    throw malformed_ecdsa("that is no DER Ecdsa-Sig-Value");
  }
  const BIGNUM* r = ECDSA_SIG_get0_r(signature.get());
  const BIGNUM* s = ECDSA_SIG_get0_s(signature.get());
  if (BN_is_zero(r) || BN_is_zero(s)) throw malformed_ecdsa("r or s is zero");
  const std::size_t width = ecdsa_width(key);
  const int half = static_cast<int>(width);
  Bytes raw(2 * width);
  if (BN_bn2binpad(r, raw.data(), half) != half ||
      BN_bn2binpad(s, raw.data() + width, half) != half) {
    throw malformed_ecdsa("r or s is longer than the curve's " + std::to_string(width) + " bytes");
  }
  return raw;
}

}  // namespace hsmith::ossl
