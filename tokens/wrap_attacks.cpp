// Wrapping a key under keys of our own, by every mechanism of the token that wraps.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "pkcs11/names.h"
#include "src/base/error.h"
#include "tokens/attacks.h"
#include "tokens/wrapping_keys.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Template;

// What came out goes back as a key that can be read.
Attack unwrap_attack(const OpenToken& token, const Key& key, const Wrapping& wrapping,
                     const WrappingKey& by, ByteView wrapped, EVP_PKEY* public_half,
                     SessionObjects& objects) {
  const std::string name = pkcs11::mechanism_name(wrapping.type);
  Template readable;
  readable.set_number(CKA_CLASS, key.object_class)
      .set_number(CKA_KEY_TYPE, key.type.value_or(CKK_RSA))
      .set_bool(CKA_TOKEN, false)
      .set_bool(CKA_SENSITIVE, false)
      .set_bool(CKA_EXTRACTABLE, true);
  try {
    Key weaker = key;
    weaker.handle =
        objects.keep(token.session->unwrap(mechanism_of(wrapping), by.handle, wrapped, readable));
    for (const Attack& read : read_attacks(token, weaker, public_half)) {
      if (read.result == AttackResult::worked)
        return {"unwrap", name, AttackResult::worked, "",
                "unwrapped again, its private value can be read"};
    }
    return {"unwrap", name, AttackResult::refused, "", "unwrapped again, it is still kept"};
  } catch (const Error& error) {
    return failed_attack("unwrap", name, error);
  }
}

// Codes that say that the mechanism cannot hold this key, whatever it is.
bool is_about_fit(const std::string& ckr) {
  static constexpr std::array kCodes{"CKR_KEY_SIZE_RANGE",
                                     "CKR_KEY_TYPE_INCONSISTENT",
                                     "CKR_WRAPPING_KEY_TYPE_INCONSISTENT",
                                     "CKR_DATA_LEN_RANGE",
                                     "CKR_KEY_HANDLE_INVALID",
                                     "CKR_MECHANISM_INVALID",
                                     "CKR_MECHANISM_PARAM_INVALID",
                                     "CKR_FUNCTION_NOT_SUPPORTED",
                                     "CKR_ARGUMENTS_BAD"};
  return std::find(kCodes.begin(), kCodes.end(), ckr) != kCodes.end();
}

// Everything that the wrappings of one key share.
struct Siege {
  const OpenToken& token;
  const Key& key;
  EVP_PKEY* public_half;
  SessionObjects& objects;
  std::vector<std::pair<CK_KEY_TYPE, WrappingKey>> by = {};
  std::optional<CK_OBJECT_HANDLE> ordinary = {};  // a key that may be wrapped
};

const WrappingKey& wrapping_key(Siege& siege, CK_KEY_TYPE type) {
  for (const auto& [known, made] : siege.by) {
    if (known == type) return made;
  }
  siege.by.emplace_back(type, make_wrapping_key(siege.token, type, siege.objects));
  return siege.by.back().second;
}

// True when the token wraps an ordinary key so: then its answer was about the other one.
bool wraps_an_ordinary_key(Siege& siege, const Wrapping& wrapping, const WrappingKey& by) {
  try {
    if (!siege.ordinary) siege.ordinary = make_ordinary_key(siege.token, siege.objects);
    return !siege.token.session->wrap(mechanism_of(wrapping), by.handle, *siege.ordinary).empty();
  } catch (const Error& error) {
    if (error.kind() == Kind::token_removed) throw;
    return false;
  }
}

void wrap_by(Siege& siege, const Wrapping& wrapping, std::vector<Attack>& attacks) {
  const std::string name = pkcs11::mechanism_name(wrapping.type);
  const WrappingKey& by = wrapping_key(siege, wrapping.key_type);
  if (by.failure) {
    attacks.push_back({"wrap", name, AttackResult::not_tested, by.failure->ckr(),
                       "no session key could be made to wrap with"});
    return;
  }
  try {
    const Secret wrapped = Secret::take(
        siege.token.session->wrap(mechanism_of(wrapping), by.handle, siege.key.handle));
    if (wrapped.empty()) {
      attacks.push_back(
          {"wrap", name, AttackResult::refused, "", "the token says yes and gives nothing"});
      return;
    }
    const bool proved = is_unwrapped_here(wrapping, by, wrapped.reveal(), siege.public_half);
    attacks.push_back({"wrap", name, AttackResult::worked, "",
                       fmt::format("{} bytes came out{}", wrapped.size(),
                                   proved ? "; unwrapped here, they hold the private key" : "")});
    if (!by.private_half)
      attacks.push_back(unwrap_attack(siege.token, siege.key, wrapping, by, wrapped.reveal(),
                                      siege.public_half, siege.objects));
  } catch (const Error& error) {
    Attack attack = failed_attack("wrap", name, error);
    if (attack.result == AttackResult::not_tested && !is_about_fit(error.ckr()) &&
        wraps_an_ordinary_key(siege, wrapping, by)) {
      attack.result = AttackResult::refused;
      attack.note = "another key is wrapped so";
    }
    attacks.push_back(std::move(attack));
  }
}

}  // namespace

std::vector<Attack> wrap_attacks(const OpenToken& token, const Key& key, EVP_PKEY* public_half,
                                 SessionObjects& objects) {
  Siege siege{token, key, public_half, objects};
  std::vector<Attack> attacks;
  for (const CK_MECHANISM_TYPE type : token.module->mechanisms(token.slot)) {
    const Wrapping* known = wrapping_by(type);
    if ((token.module->mechanism_info(token.slot, type).flags & CKF_WRAP) == 0) continue;
    if (known == nullptr) {
      attacks.push_back({"wrap", pkcs11::mechanism_name(type), AttackResult::not_tested, "",
                         "hsmith does not know how to use this mechanism"});
      continue;
    }
    wrap_by(siege, *known, attacks);
  }
  if (attacks.empty()) {
    attacks.push_back({"wrap", "any mechanism", AttackResult::not_tested, "",
                       "the token has no mechanism that wraps"});
  }
  return attacks;
}

}  // namespace hsmith::tokens
