// Making a key weaker: on copies that end with the session.
#include <array>
#include <fmt/format.h>

#include "pkcs11/names.h"
#include "src/base/error.h"
#include "tokens/attacks.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Template;

struct Change {
  CK_ATTRIBUTE_TYPE type;
  bool value;
};

std::string change_name(const Change& change) {
  return fmt::format("{}={}", pkcs11::attribute_name(change.type), change.value);
}

constexpr Change kWeaker[] = {{CKA_EXTRACTABLE, true}, {CKA_SENSITIVE, false}};

std::vector<Change> wider_uses(const Key& key) {
  if (key.object_class == CKO_SECRET_KEY) {
    return {{CKA_ENCRYPT, true}, {CKA_DECRYPT, true}, {CKA_SIGN, true},
            {CKA_WRAP, true},    {CKA_UNWRAP, true},  {CKA_DERIVE, true}};
  }
  return {{CKA_SIGN, true}, {CKA_DECRYPT, true}, {CKA_UNWRAP, true}, {CKA_DERIVE, true}};
}

Claim flag_of(const OpenToken& token, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE_TYPE type) {
  return token.session->get(handle, {&type, 1}).flag(type);
}

Template session_copy() { return Template().set_bool(CKA_TOKEN, false); }

// What the token made of a request to change a copy: it may say yes and do nothing.
Attack applied(const OpenToken& token, const std::string& kind, CK_OBJECT_HANDLE handle,
               const Change& change) {
  const bool changed = flag_of(token, handle, change.type) == change.value;
  return {kind, change_name(change), changed ? AttackResult::worked : AttackResult::refused, "",
          changed ? "" : "the token says yes and leaves it as it was"};
}

Attack copy_weaker(const OpenToken& token, const Key& key, const Change& change,
                   SessionObjects& objects) {
  try {
    const CK_OBJECT_HANDLE copy = objects.keep(
        token.session->copy(key.handle, session_copy().set_bool(change.type, change.value)));
    return applied(token, "copy", copy, change);
  } catch (const Error& error) {
    return failed_attack("copy", change_name(change), error);
  }
}

Attack set_on_copy(const OpenToken& token, const std::string& kind, CK_OBJECT_HANDLE copy,
                   const Change& change) {
  try {
    token.session->set(copy, Template().set_bool(change.type, change.value));
    return applied(token, kind, copy, change);
  } catch (const Error& error) {
    return failed_attack(kind, change_name(change), error);
  }
}

bool is_so_already(const OpenToken& token, const Key& key, const Change& change) {
  return flag_of(token, key.handle, change.type) == change.value;
}

// A copy of the key as it is; nullopt with why, where the token makes none.
std::optional<CK_OBJECT_HANDLE> plain_copy(const OpenToken& token, const Key& key,
                                           SessionObjects& objects, std::string& ckr) {
  try {
    return objects.keep(token.session->copy(key.handle, session_copy()));
  } catch (const Error& error) {
    ckr = failed_attack("copy", "", error).ckr;
    return std::nullopt;
  }
}

}  // namespace

std::vector<Attack> copy_attacks(const OpenToken& token, const Key& key, EVP_PKEY*,
                                 SessionObjects& objects) {
  std::string ckr;
  const auto copy = plain_copy(token, key, objects, ckr);
  std::vector<Attack> attacks;
  const auto without_copy = [&](const char* kind, const Change& change) {
    attacks.push_back({kind, change_name(change), AttackResult::not_tested, ckr,
                       "the token makes no session copy of the key"});
  };
  for (const Change& change : kWeaker) {
    Attack attack = copy_weaker(token, key, change, objects);
    // Where no copy can be made at all, the answer is not about the change.
    if (!copy && attack.result == AttackResult::refused) {
      without_copy("copy", change);
    } else {
      attacks.push_back(std::move(attack));
    }
    if (copy) {
      attacks.push_back(set_on_copy(token, "set", *copy, change));
    } else {
      without_copy("set", change);
    }
  }
  for (const Change& change : wider_uses(key)) {
    if (is_so_already(token, key, change)) continue;
    if (copy) {
      attacks.push_back(set_on_copy(token, "widen", *copy, change));
    } else {
      without_copy("widen", change);
    }
  }
  return attacks;
}

}  // namespace hsmith::tokens
