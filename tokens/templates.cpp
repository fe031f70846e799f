#include "tokens/templates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/core_names.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "tokens/import.h"

namespace hsmith::tokens {
namespace {

using ossl::KeyAlgorithm;
using pkcs11::Template;

constexpr std::pair<Use, const char*> kUses[] = {
    {Use::sign, "sign"}, {Use::decrypt, "decrypt"}, {Use::derive, "derive"}};

Use use_named(const std::string& word) {
  std::vector<std::string> known;
  for (const auto& [use, name] : kUses) {
    if (word == name) return use;
    known.emplace_back(name);
  }
  const auto near = did_you_mean(word, known);
  throw Error(Kind::usage, fmt::format("--use {}: there is no such use", quoted(word)))
      .hint(near ? fmt::format("did you mean {}?", *near) : "uses are sign, decrypt and derive");
}

bool fits(Use use, KeyAlgorithm algorithm) {
  switch (use) {
    case Use::sign:
      return algorithm != KeyAlgorithm::aes;
    case Use::decrypt:
      return algorithm == KeyAlgorithm::rsa;
    default:
      return algorithm == KeyAlgorithm::ec;
  }
}

}  // namespace

std::set<Use> parse_uses(std::string_view text, const ossl::KeyType& type) {
  std::set<Use> uses;
  for (const std::string& word : split(text, ',')) {
    const Use use = use_named(word);
    if (!fits(use, type.algorithm)) {
      throw Error(Kind::usage,
                  fmt::format("--use {}: a key of type {} cannot do that", word, type.name))
          .hint("every type but aes signs, rsa decrypts, ec derives");
    }
    uses.insert(use);
  }
  if (uses.empty()) throw Error(Kind::usage, "--use: no use is given");
  return uses;
}

std::string use_names(const std::set<Use>& uses) {
  std::vector<std::string> names;
  for (const auto& [use, name] : kUses) {
    if (uses.contains(use)) names.emplace_back(name);
  }
  return fmt::format("{}", fmt::join(names, ","));
}

pkcs11::Mechanism generation_mechanism(const ossl::KeyType& type) {
  switch (type.algorithm) {
    case KeyAlgorithm::rsa:
      return {CKM_RSA_PKCS_KEY_PAIR_GEN, {}};
    case KeyAlgorithm::ec:
      return {CKM_EC_KEY_PAIR_GEN, {}};
    case KeyAlgorithm::ed25519:
      return {CKM_EC_EDWARDS_KEY_PAIR_GEN, {}};
    default:
      return {CKM_AES_KEY_GEN, {}};
  }
}

Template private_key_template(const KeySpec& spec) {
  Template key;
  key.set_bool(CKA_TOKEN, true)
      .set_bool(CKA_PRIVATE, true)
      .set_bool(CKA_SENSITIVE, true)
      .set_bool(CKA_EXTRACTABLE, false)
      .set_bool(CKA_SIGN, spec.uses.contains(Use::sign))
      .set_bool(CKA_DECRYPT, spec.uses.contains(Use::decrypt))
      .set_bool(CKA_DERIVE, spec.uses.contains(Use::derive))
      .set_bool(CKA_UNWRAP, false)
      .set_text(CKA_LABEL, spec.label);
  if (spec.type->algorithm == KeyAlgorithm::rsa) key.set_bool(CKA_SIGN_RECOVER, false);
  if (!spec.id.empty()) key.set(CKA_ID, spec.id);
  return key;
}

Template public_key_template(const KeySpec& spec) {
  Template key;
  key.set_bool(CKA_TOKEN, true)
      .set_bool(CKA_PRIVATE, false)
      .set_bool(CKA_VERIFY, spec.uses.contains(Use::sign))
      .set_bool(CKA_ENCRYPT, spec.uses.contains(Use::decrypt))
      .set_bool(CKA_WRAP, false)
      .set_text(CKA_LABEL, spec.label);
  if (spec.type->algorithm == KeyAlgorithm::rsa) {
    static constexpr unsigned char kF4[] = {1, 0, 1};
    key.set_number(CKA_MODULUS_BITS, static_cast<CK_ULONG>(spec.type->bits))
        .set(CKA_PUBLIC_EXPONENT, kF4)
        .set_bool(CKA_VERIFY_RECOVER, false);
  } else {
    key.set(CKA_EC_PARAMS, *parse_hex(spec.type->curve_oid_der_hex));
  }
  if (!spec.id.empty()) key.set(CKA_ID, spec.id);
  return key;
}

namespace {

using SecretNumber = std::unique_ptr<BIGNUM, ossl::Deleter<BN_clear_free>>;

// A number of the key, big-endian, without leading zeros unless `size` asks for them.
Secret number_of(const EVP_PKEY* key, const char* name, int size = 0) {
  BIGNUM* value = nullptr;
  ossl::check(EVP_PKEY_get_bn_param(key, name, &value) == 1, "read a number of a key",
              Kind::unsupported);
  const SecretNumber number(value);
  Bytes bytes(static_cast<std::size_t>(std::max(size, BN_num_bytes(number.get()))));
  BN_bn2binpad(number.get(), bytes.data(), static_cast<int>(bytes.size()));
  return Secret::take(std::move(bytes));
}

CK_KEY_TYPE key_type_of(const KeySpec& spec) {
  switch (spec.type->algorithm) {
    case KeyAlgorithm::rsa:
      return CKK_RSA;
    case KeyAlgorithm::ec:
      return CKK_EC;
    default:
      return CKK_EC_EDWARDS;
  }
}

// A curve's private number: as long as its order; of Ed25519 the seed (RFC 8032, 5.1.5).
Secret private_value(const KeySpec& spec, const EVP_PKEY* key) {
  if (spec.type->algorithm == KeyAlgorithm::ec)
    return number_of(key, OSSL_PKEY_PARAM_PRIV_KEY, (EVP_PKEY_get_bits(key) + 7) / 8);
  std::size_t size = 0;
  ossl::check(EVP_PKEY_get_raw_private_key(key, nullptr, &size) == 1, "read a private key");
  Bytes bytes(size);
  ossl::check(EVP_PKEY_get_raw_private_key(key, bytes.data(), &size) == 1, "read a private key");
  return Secret::take(std::move(bytes));
}

}  // namespace

PrivateTemplate::~PrivateTemplate() {
  for (const CK_ATTRIBUTE& attribute : attributes.view())
    wipe(attribute.pValue, attribute.ulValueLen);
}

Template unwrapped_private_key_template(const KeySpec& spec) {
  Template key = private_key_template(spec);
  key.set_number(CKA_CLASS, CKO_PRIVATE_KEY).set_number(CKA_KEY_TYPE, key_type_of(spec));
  return key;
}

Template for_backup(Template private_key) {
  private_key.leave_out(CKA_EXTRACTABLE)
      .set_bool(CKA_EXTRACTABLE, true)
      .set_bool(CKA_WRAP_WITH_TRUSTED, true);
  return private_key;
}

PrivateTemplate with_private_numbers(Template attributes, const KeySpec& spec,
                                     const EVP_PKEY* key) {
  PrivateTemplate made;
  made.attributes = std::move(attributes);
  if (spec.type->algorithm != KeyAlgorithm::rsa) {
    made.attributes.set(CKA_EC_PARAMS, *parse_hex(spec.type->curve_oid_der_hex))
        .set(CKA_VALUE, private_value(spec, key).reveal());
    return made;
  }
  static constexpr std::pair<CK_ATTRIBUTE_TYPE, const char*> kNumbers[] = {
      {CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N},
      {CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E},
      {CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D},
      {CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1},
      {CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2},
      {CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1},
      {CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2},
      {CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
  for (const auto& [type, name] : kNumbers)
    made.attributes.set(type, number_of(key, name).reveal());
  return made;
}

Template imported_public_key_template(const KeySpec& spec, const EVP_PKEY* key) {
  Template made;
  made.set_number(CKA_CLASS, CKO_PUBLIC_KEY)
      .set_number(CKA_KEY_TYPE, key_type_of(spec))
      .set_bool(CKA_TOKEN, true)
      .set_bool(CKA_PRIVATE, false)
      .set_bool(CKA_VERIFY, spec.uses.contains(Use::sign))
      .set_bool(CKA_ENCRYPT, spec.uses.contains(Use::decrypt))
      .set_bool(CKA_WRAP, false)
      .set_text(CKA_LABEL, spec.label)
      .set(CKA_ID, spec.id);
  if (spec.type->algorithm == KeyAlgorithm::rsa) {
    made.set(CKA_MODULUS, number_of(key, OSSL_PKEY_PARAM_RSA_N).reveal())
        .set(CKA_PUBLIC_EXPONENT, number_of(key, OSSL_PKEY_PARAM_RSA_E).reveal())
        .set_bool(CKA_VERIFY_RECOVER, false);
    return made;
  }
  const Bytes point = ossl::public_key_bits(key);
  const ossl::OctetString wrapped(ASN1_OCTET_STRING_new());
  ossl::check(wrapped && ASN1_OCTET_STRING_set(wrapped.get(), point.data(),
                                               static_cast<int>(point.size())) == 1,
              "wrap a point");
  made.set(CKA_EC_PARAMS, *parse_hex(spec.type->curve_oid_der_hex))
      .set(CKA_EC_POINT, ossl::der_of(i2d_ASN1_OCTET_STRING, wrapped.get()));
  return made;
}

Template certificate_template(const CertificateFields& fields, const std::string& label,
                              ByteView id) {
  Template certificate;
  certificate.set_number(CKA_CLASS, CKO_CERTIFICATE)
      .set_number(CKA_CERTIFICATE_TYPE, CKC_X_509)
      .set_bool(CKA_TOKEN, true)
      .set_bool(CKA_PRIVATE, false)
      .set_text(CKA_LABEL, label)
      .set(CKA_ID, id)
      .set(CKA_SUBJECT, fields.subject)
      .set(CKA_ISSUER, fields.issuer)
      .set(CKA_SERIAL_NUMBER, fields.serial)
      .set(CKA_VALUE, fields.value);
  return certificate;
}

Template readable_secret_template(std::size_t size) {
  Template secret;
  secret.set_number(CKA_CLASS, CKO_SECRET_KEY)
      .set_number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)
      .set_bool(CKA_TOKEN, false)
      .set_bool(CKA_PRIVATE, true)
      .set_bool(CKA_SENSITIVE, false)
      .set_bool(CKA_EXTRACTABLE, true);
  if (size != 0) secret.set_number(CKA_VALUE_LEN, size);
  return secret;
}

}  // namespace hsmith::tokens
