// Wrapping a key under keys of our own, by every mechanism of the token that wraps.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "pkcs11/names.h"
#include "src/base/error.h"
#include "tokens/attacks.h"
#include "tokens/came_out.h"
#include "tokens/wrapping_keys.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Template;

// Codes of a token that cannot open what it has wrapped itself.
bool is_about_wrapped(const std::string& ckr) {
  return ckr == "CKR_WRAPPED_KEY_INVALID" || ckr == "CKR_WRAPPED_KEY_LEN_RANGE" ||
         ckr == "CKR_ENCRYPTED_DATA_INVALID" || ckr == "CKR_ENCRYPTED_DATA_LEN_RANGE";
}

// What came out goes back as a key that can be read.
Attack unwrap_attack(const Target& target, const Wrapping& wrapping, const WrappingKey& by,
                     ByteView wrapped) {
  const std::string name = pkcs11::mechanism_name(wrapping.type);
  target.say("unwrap " + name);
  Template readable;
  readable.set_number(CKA_CLASS, target.key.object_class)
      .set_number(CKA_KEY_TYPE, target.key.type.value_or(CKK_RSA))
      .set_bool(CKA_TOKEN, false)
      .set_bool(CKA_SENSITIVE, false)
      .set_bool(CKA_EXTRACTABLE, true);
  try {
    Key weaker = target.key;
    weaker.handle = target.objects.keep(
        target.token.session->unwrap(mechanism_of(wrapping), by.handle, wrapped, readable));
    AttackResult result = AttackResult::refused;
    for (const Attack& read :
         read_attacks({target.token, weaker, target.public_half, target.objects, target.say})) {
      if (read.result == AttackResult::worked)
        return {"unwrap", name, AttackResult::worked, "",
                "unwrapped again, its private value can be read"};
      if (read.result == AttackResult::rubbish) result = AttackResult::rubbish;
    }
    return {"unwrap", name, result, "",
            result == AttackResult::rubbish ? "unwrapped again, it is not this key"
                                            : "unwrapped again, it is still kept"};
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

// No cipher makes that of a key: a module that says yes and writes nothing, or a token that jokes.
bool is_one_byte(ByteView bytes) {
  return std::ranges::all_of(bytes, [&](unsigned char byte) { return byte == bytes.front(); });
}

// Everything that the wrappings of one key share.
struct Siege {
  const Target& target;
  std::vector<std::pair<CK_KEY_TYPE, WrappingKey>> by = {};
  std::optional<CK_OBJECT_HANDLE> ordinary = {};  // a key that may be wrapped
};

const WrappingKey& wrapping_key(Siege& siege, CK_KEY_TYPE type) {
  for (const auto& [known, made] : siege.by) {
    if (known == type) return made;
  }
  siege.by.emplace_back(type, make_wrapping_key(siege.target.token, type, siege.target.objects));
  return siege.by.back().second;
}

// True when the token wraps an ordinary key so: then its answer was about the other one.
bool wraps_an_ordinary_key(Siege& siege, const Wrapping& wrapping, const WrappingKey& by) {
  try {
    const OpenToken& token = siege.target.token;
    if (!siege.ordinary) siege.ordinary = make_ordinary_key(token, siege.target.objects);
    return !token.session->wrap(mechanism_of(wrapping), by.handle, *siege.ordinary).empty();
  } catch (const Error& error) {
    if (error.kind() == Kind::token_removed) throw;
    return false;
  }
}

// The attempts by what was wrapped: whether it holds the key is found out here, and where hsmith
// cannot tell, on the token. What it may be for all that is known has left.
void judge_wrapped(const Target& target, const Wrapping& wrapping, const WrappingKey& by,
                   ByteView wrapped, std::vector<Attack>& attacks) {
  const std::string name = pkcs11::mechanism_name(wrapping.type);
  Attack wrap{"wrap", name, AttackResult::worked, "",
              fmt::format("{} bytes came out", wrapped.size())};
  const CameOut held = held_by(wrapping, by, wrapped, target.public_half);
  if (held == CameOut::the_key) wrap.note += "; unwrapped here, they hold the private key";
  if (held == CameOut::something_else) {
    wrap.result = AttackResult::rubbish;
    wrap.note += "; unwrapped here, they hold another key";
  }
  if (by.private_half) {
    attacks.push_back(std::move(wrap));
    return;
  }
  const Attack unwrap = unwrap_attack(target, wrapping, by, wrapped);
  const bool opens_nowhere = can_open(wrapping, by) && is_about_wrapped(unwrap.ckr);
  if (held == CameOut::unknown && (opens_nowhere || unwrap.result == AttackResult::rubbish)) {
    wrap.result = AttackResult::rubbish;
    wrap.note += opens_nowhere ? ", which neither hsmith nor the token opens" : ", of another key";
  }
  attacks.push_back(std::move(wrap));
  attacks.push_back(unwrap);
}

void wrap_by(Siege& siege, const Wrapping& wrapping, std::vector<Attack>& attacks) {
  const Target& target = siege.target;
  const std::string name = pkcs11::mechanism_name(wrapping.type);
  target.say("wrap " + name);
  const WrappingKey& by = wrapping_key(siege, wrapping.key_type);
  if (by.failure) {
    attacks.push_back({"wrap", name, AttackResult::not_tested, by.failure->ckr(),
                       "no session key could be made to wrap with"});
    return;
  }
  try {
    const Secret wrapped = Secret::take(
        target.token.session->wrap(mechanism_of(wrapping), by.handle, target.key.handle));
    if (wrapped.empty()) {
      attacks.push_back(
          {"wrap", name, AttackResult::refused, "", "the token says yes and gives nothing"});
      return;
    }
    if (is_one_byte(wrapped.reveal())) {
      attacks.push_back({"wrap", name, AttackResult::rubbish, "",
                         fmt::format("{} times the same byte came out", wrapped.size())});
      return;
    }
    judge_wrapped(target, wrapping, by, wrapped.reveal(), attacks);
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

std::vector<Attack> wrap_attacks(const Target& target) {
  Siege siege{target};
  std::vector<Attack> attacks;
  const OpenToken& token = target.token;
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
