#include "tokens/attacks.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <span>

#include "pkcs11/names.h"
#include "src/base/error.h"
#include "src/ossl/algorithms.h"

namespace hsmith::tokens {
namespace {

// Codes that say that the key must not be read, wrapped, copied or changed so. A code about the
// mechanism, the template or the device says nothing about the key.
bool is_about_key(const std::string& ckr) {
  static constexpr std::array kCodes{
      "CKR_ATTRIBUTE_SENSITIVE",     "CKR_ATTRIBUTE_READ_ONLY",   "CKR_ATTRIBUTE_TYPE_INVALID",
      "CKR_ATTRIBUTE_VALUE_INVALID", "CKR_ACTION_PROHIBITED",     "CKR_KEY_UNEXTRACTABLE",
      "CKR_KEY_NOT_WRAPPABLE",       "CKR_TEMPLATE_INCONSISTENT", "CKR_KEY_FUNCTION_NOT_PERMITTED"};
  return std::find(kCodes.begin(), kCodes.end(), ckr) != kCodes.end();
}

// NSS 3.87 does not always tell a key's type: the public half does.
bool is_rsa_key(const Key& key, EVP_PKEY* public_half) {
  if (public_half != nullptr) return ossl::algorithm_of(public_half) == ossl::KeyAlgorithm::rsa;
  return key.object_class == CKO_PRIVATE_KEY && key.type == CKK_RSA;
}

std::span<const CK_ATTRIBUTE_TYPE> secret_attributes(const Key& key, EVP_PKEY* public_half) {
  static constexpr std::array<CK_ATTRIBUTE_TYPE, 6> kRsa{CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
                                                         CKA_PRIME_2,          CKA_EXPONENT_1,
                                                         CKA_EXPONENT_2,       CKA_COEFFICIENT};
  static constexpr std::array<CK_ATTRIBUTE_TYPE, 1> kValue{CKA_VALUE};
  if (is_rsa_key(key, public_half)) return kRsa;
  return kValue;
}

Attack read_attack(const OpenToken& token, const Key& key, CK_ATTRIBUTE_TYPE type) {
  const std::string name = pkcs11::attribute_name(type);
  try {
    const Secret value = token.session->read_secret(key.handle, type);
    if (value.empty())
      return {"read", name, AttackResult::refused, "", "the token says yes and gives nothing"};
    return {"read", name, AttackResult::worked, "", fmt::format("{} bytes came out", value.size())};
  } catch (const Error& error) {
    return failed_attack("read", name, error);
  }
}

}  // namespace

const char* result_name(AttackResult result) {
  switch (result) {
    case AttackResult::refused:
      return "refused";
    case AttackResult::worked:
      return "worked";
    default:
      return "not_tested";
  }
}

Attack failed_attack(const std::string& kind, const std::string& with, const Error& error) {
  if (error.kind() == Kind::token_removed || error.ckr().empty()) throw error;
  const bool refused = is_about_key(error.ckr());
  return {kind, with, refused ? AttackResult::refused : AttackResult::not_tested, error.ckr(), ""};
}

std::vector<Attack> read_attacks(const OpenToken& token, const Key& key, EVP_PKEY* public_half) {
  std::vector<Attack> attacks;
  for (const CK_ATTRIBUTE_TYPE type : secret_attributes(key, public_half))
    attacks.push_back(read_attack(token, key, type));
  return attacks;
}

std::vector<Attack> attack_key(const OpenToken& token, const Key& key, EVP_PKEY* public_half,
                               SessionObjects& objects) {
  std::vector<Attack> all = read_attacks(token, key, public_half);
  for (Attack& one : wrap_attacks(token, key, public_half, objects)) all.push_back(std::move(one));
  for (Attack& one : copy_attacks(token, key, public_half, objects)) all.push_back(std::move(one));
  return all;
}

}  // namespace hsmith::tokens
