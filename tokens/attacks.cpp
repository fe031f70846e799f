#include "tokens/attacks.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <span>

#include "pkcs11/names.h"
#include "src/base/error.h"
#include "src/ossl/algorithms.h"
#include "tokens/came_out.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Template;

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

Attack read_attack(const Target& target, CK_ATTRIBUTE_TYPE type) {
  const std::string name = pkcs11::attribute_name(type);
  target.say("read " + name);
  try {
    const Secret value = target.token.session->read_secret(target.key.handle, type);
    if (value.empty())
      return {"read", name, AttackResult::refused, "", "the token says yes and gives nothing"};
    const std::string came = fmt::format("{} bytes came out", value.size());
    switch (attribute_came_out(type, value.reveal(), target.public_half)) {
      case CameOut::the_key:
        return {"read", name, AttackResult::worked, "", came + "; they are of the private key"};
      case CameOut::something_else:
        return {"read", name, AttackResult::rubbish, "", came + ", which are not of this key"};
      default:
        return {"read", name, AttackResult::worked, "", came};
    }
  } catch (const Error& error) {
    return failed_attack("read", name, error);
  }
}

// A copy of the key as it is; nullopt with the token's answer where it makes none.
std::optional<CK_OBJECT_HANDLE> plain_copy(const Target& target, std::string& ckr) {
  target.say("copy");
  try {
    return target.objects.keep(
        target.token.session->copy(target.key.handle, Template().set_bool(CKA_TOKEN, false)));
  } catch (const Error& error) {
    ckr = failed_attack("copy", "", error).ckr;
    return std::nullopt;
  }
}

void append(std::vector<Attack>& all, std::vector<Attack> more) {
  for (Attack& one : more) all.push_back(std::move(one));
}

}  // namespace

const char* result_name(AttackResult result) {
  switch (result) {
    case AttackResult::refused:
      return "refused";
    case AttackResult::worked:
      return "worked";
    case AttackResult::rubbish:
      return "rubbish";
    default:
      return "not_tested";
  }
}

Attack failed_attack(const std::string& kind, const std::string& with, const Error& error) {
  if (error.kind() == Kind::token_removed || error.ckr().empty()) throw error;
  const bool refused = is_about_key(error.ckr());
  return {kind, with, refused ? AttackResult::refused : AttackResult::not_tested, error.ckr(), ""};
}

std::vector<Attack> read_attacks(const Target& target) {
  std::vector<Attack> attacks;
  for (const CK_ATTRIBUTE_TYPE type : secret_attributes(target.key, target.public_half))
    attacks.push_back(read_attack(target, type));
  return attacks;
}

std::vector<Attack> attack_key(const Target& target) {
  std::vector<Attack> all = read_attacks(target);
  append(all, wrap_attacks(target));
  std::string ckr;
  const auto copy = plain_copy(target, ckr);
  append(all, change_attacks(target, copy, ckr));
  return all;
}

std::vector<Attack> attack_session_key(const Target& target) {
  std::vector<Attack> all = read_attacks(target);
  append(all, wrap_attacks(target));
  append(all, change_attacks(target, target.key.handle, ""));
  return all;
}

bool is_about_key(const std::string& ckr) {
  static constexpr std::array kCodes{
      "CKR_ATTRIBUTE_SENSITIVE",     "CKR_ATTRIBUTE_READ_ONLY",   "CKR_ATTRIBUTE_TYPE_INVALID",
      "CKR_ATTRIBUTE_VALUE_INVALID", "CKR_ACTION_PROHIBITED",     "CKR_KEY_UNEXTRACTABLE",
      "CKR_KEY_NOT_WRAPPABLE",       "CKR_TEMPLATE_INCONSISTENT", "CKR_KEY_FUNCTION_NOT_PERMITTED"};
  return std::find(kCodes.begin(), kCodes.end(), ckr) != kCodes.end();
}

}  // namespace hsmith::tokens
