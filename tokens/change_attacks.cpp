// Making a key weaker: on objects that end with the session.
#include <algorithm>
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

Claim flag_of(const OpenToken& token, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE_TYPE type) {
  return token.session->get(handle, {&type, 1}).flag(type);
}

// CKA_WRAP_WITH_TRUSTED is asked of a key that can leave so only; others need not know it.
std::vector<Change> weaker(const Target& target) {
  std::vector<Change> changes{{CKA_EXTRACTABLE, true}, {CKA_SENSITIVE, false}};
  std::erase_if(changes, [&](const Change& change) {
    return flag_of(target.token, target.key.handle, change.type) == change.value;
  });
  if (flag_of(target.token, target.key.handle, CKA_WRAP_WITH_TRUSTED) == true)
    changes.push_back({CKA_WRAP_WITH_TRUSTED, false});
  return changes;
}

std::vector<Change> wider_uses(const Target& target) {
  std::vector<Change> uses{
      {CKA_SIGN, true}, {CKA_DECRYPT, true}, {CKA_UNWRAP, true}, {CKA_DERIVE, true}};
  if (target.key.object_class == CKO_SECRET_KEY) {
    uses.push_back({CKA_ENCRYPT, true});
    uses.push_back({CKA_WRAP, true});
  }
  std::erase_if(uses, [&](const Change& change) {
    return flag_of(target.token, target.key.handle, change.type) == change.value;
  });
  return uses;
}

// What a weaker object gives away now, as a note.
std::string gives_away(const Target& target, CK_OBJECT_HANDLE handle, const Change& change) {
  Key weak = target.key;
  weak.handle = handle;
  const Target now{target.token, weak, target.public_half, target.objects, target.say};
  for (const Attack& attack :
       change.type == CKA_SENSITIVE ? read_attacks(now) : wrap_attacks(now)) {
    if (attack.result == AttackResult::worked)
      return fmt::format("then {} {}: {}", attack.kind, attack.with, attack.note);
  }
  return "";
}

// What the token made of a request to change an object: it may say yes and do nothing.
Attack applied(const Target& target, const std::string& kind, CK_OBJECT_HANDLE handle,
               const Change& change) {
  if (flag_of(target.token, handle, change.type) != change.value) {
    return {kind, change_name(change), AttackResult::refused, "",
            "the token says yes and leaves it as it was"};
  }
  return {kind, change_name(change), AttackResult::worked, "",
          kind == "widen" ? "" : gives_away(target, handle, change)};
}

Attack copy_weaker(const Target& target, const Change& change) {
  target.say("copy " + change_name(change));
  try {
    const Template changes =
        Template().set_bool(CKA_TOKEN, false).set_bool(change.type, change.value);
    const CK_OBJECT_HANDLE copy =
        target.objects.keep(target.token.session->copy(target.key.handle, changes));
    return applied(target, "copy", copy, change);
  } catch (const Error& error) {
    return failed_attack("copy", change_name(change), error);
  }
}

Attack set_on(const Target& target, const char* kind, CK_OBJECT_HANDLE handle,
              const Change& change) {
  target.say(fmt::format("{} {}", kind, change_name(change)));
  try {
    target.token.session->set(handle, Template().set_bool(change.type, change.value));
    return applied(target, kind, handle, change);
  } catch (const Error& error) {
    return failed_attack(kind, change_name(change), error);
  }
}

}  // namespace

std::vector<Attack> change_attacks(const Target& target, std::optional<CK_OBJECT_HANDLE> changed,
                                   const std::string& ckr) {
  std::vector<Attack> attacks;
  const auto without_copy = [&](const char* kind, const Change& change) {
    attacks.push_back({kind, change_name(change), AttackResult::not_tested, ckr,
                       "the token makes no session copy of the key"});
  };
  for (const Change& change : weaker(target)) {
    Attack attack = copy_weaker(target, change);
    // Where no copy can be made at all, the answer is not about the change.
    if (!changed && attack.result == AttackResult::refused) {
      without_copy("copy", change);
    } else {
      attacks.push_back(std::move(attack));
    }
    if (changed) {
      attacks.push_back(set_on(target, "set", *changed, change));
    } else {
      without_copy("set", change);
    }
  }
  for (const Change& change : wider_uses(target)) {
    if (changed) {
      attacks.push_back(set_on(target, "widen", *changed, change));
    } else {
      without_copy("widen", change);
    }
  }
  return attacks;
}

}  // namespace hsmith::tokens
