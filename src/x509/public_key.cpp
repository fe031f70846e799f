#include "src/x509/public_key.h"

#include <array>
#include <fmt/format.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>

#include "src/base/error.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/input.h"

namespace hsmith::x509 {
namespace {

using PssParams = std::unique_ptr<RSA_PSS_PARAMS, ossl::Deleter<RSA_PSS_PARAMS_free>>;

const ASN1_OBJECT* algorithm_of(const X509_PUBKEY* key) {
  ASN1_OBJECT* algorithm = nullptr;
  X509_PUBKEY_get0_param(&algorithm, nullptr, nullptr, nullptr, key);
  return algorithm;
}

// The algorithms that OpenSSL 3.0 can read: a key of one of these that does not parse is broken.
bool is_known(const ASN1_OBJECT* algorithm) {
  switch (OBJ_obj2nid(algorithm)) {
    case NID_rsaEncryption:
    case NID_rsassaPss:
    case NID_X9_62_id_ecPublicKey:
    case NID_ED25519:
    case NID_ED448:
    case NID_X25519:
    case NID_X448:
    case NID_dsa:
    case NID_dhpublicnumber:
    case NID_dhKeyAgreement:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string oid_text(const ASN1_OBJECT* object) {
  std::array<char, 256> buffer{};
  OBJ_obj2txt(buffer.data(), static_cast<int>(buffer.size()), object, 1);
  return buffer.data();
}

KeyFacts key_facts(const X509_PUBKEY* key) {
  KeyFacts facts;
  facts.sha256 =
      hex(ossl::digest(ossl::digest_named("sha256"), ossl::der_of(i2d_X509_PUBKEY, key)));
  const EVP_PKEY* readable = X509_PUBKEY_get0(key);
  ossl::clear_errors();
  if (readable == nullptr) {
    facts.type = oid_text(algorithm_of(key));
    return facts;
  }
  facts.type = ossl::key_type_name(readable);
  facts.bits = EVP_PKEY_get_bits(readable);
  return facts;
}

EVP_PKEY* borrow_key(const X509_PUBKEY* key, std::string_view owner) {
  ossl::clear_errors();
  EVP_PKEY* readable = X509_PUBKEY_get0(key);
  if (readable != nullptr) return readable;
  if (!is_known(algorithm_of(key))) {
    ossl::clear_errors();
    throw Error(Kind::unsupported, fmt::format("read the key of {}: its algorithm {} is not known",
                                               owner, oid_text(algorithm_of(key))));
  }
  return ossl::check_ptr(readable, fmt::format("read the key of {}", owner), Kind::malformed);
}

std::string algorithm_name(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
  const int nid = OBJ_obj2nid(object);
  return nid == NID_undef ? oid_text(object) : OBJ_nid2ln(nid);
}

bool parameters_fit(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  int type = V_ASN1_UNDEF;
  X509_ALGOR_get0(&object, &type, nullptr, algorithm);
  int key = NID_undef;
  if (OBJ_find_sigid_algs(OBJ_obj2nid(object), nullptr, &key) != 1) return true;
  switch (key) {
    case NID_rsaEncryption:
      return type == V_ASN1_NULL || type == V_ASN1_UNDEF;
    case NID_X9_62_id_ecPublicKey:
    case NID_ED25519:
    case NID_ED448:
      return type == V_ASN1_UNDEF;
    default:
      return true;
  }
}

int digest_nid_of(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  int type = V_ASN1_UNDEF;
  const void* value = nullptr;
  X509_ALGOR_get0(&object, &type, &value, algorithm);
  int digest = NID_undef;
  if (OBJ_obj2nid(object) != NID_rsassaPss) {
    OBJ_find_sigid_algs(OBJ_obj2nid(object), &digest, nullptr);
    return digest;
  }
  if (type != V_ASN1_SEQUENCE) return NID_undef;
  const auto* sequence = static_cast<const ASN1_STRING*>(value);
  const unsigned char* at = ASN1_STRING_get0_data(sequence);
  const PssParams parameters(d2i_RSA_PSS_PARAMS(nullptr, &at, ASN1_STRING_length(sequence)));
  ossl::clear_errors();
  if (parameters == nullptr) return NID_undef;
  if (parameters->hashAlgorithm == nullptr) return NID_sha1;  // RFC 4055, 3.1: the default
  X509_ALGOR_get0(&object, nullptr, nullptr, parameters->hashAlgorithm);
  return OBJ_obj2nid(object);
}

ossl::PKey read_public_key(ByteView content, std::string_view input) {
  constexpr std::string_view kExpected = "a public key";
  Bytes der(content.begin(), content.end());
  if (looks_like_pem(content)) {
    std::vector<PemBlock> blocks = pem_blocks(content, input);
    if (blocks.size() != 1 || kind_of_pem(blocks.front().label) != kExpected)
      refuse_kind(content, input, kExpected);
    der = std::move(blocks.front().der);
  }
  if (kind_of_der(der) != kExpected) refuse_kind(content, input, kExpected);
  if (der_element_size(der) != der.size())
    throw Error(Kind::malformed, fmt::format("read {}: bytes follow the public key", input));
  return ossl::public_key_from_spki(der);
}

}  // namespace hsmith::x509
