#include "tokens/templates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "src/base/error.h"
#include "src/base/text.h"

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
