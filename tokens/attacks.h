// Attempts to get a key out of its token, made instead of believing what the token says.
#pragma once

#include <string>
#include <vector>

#include "src/base/error.h"
#include "tokens/child_process.h"
#include "tokens/keys.h"
#include "tokens/session_objects.h"

namespace hsmith::tokens {

// `rubbish`: something came out, and it is not the key.
enum class AttackResult { refused, worked, rubbish, not_tested };

// One attempt, and what came of it.
struct Attack {
  std::string kind;  // "read", "wrap", "unwrap", "copy", "set", "widen"
  std::string with;  // "CKA_PRIVATE_EXPONENT", "CKM_AES_KEY_WRAP", "CKA_EXTRACTABLE=true"
  AttackResult result = AttackResult::not_tested;
  std::string ckr;   // the token's answer; empty when it did what was asked
  std::string note;  // one line, or empty
};

const char* result_name(AttackResult result);

// What is attacked. `public_half` is what comes out is compared with, null for a secret key. Each
// attempt is said before it is made: the module may crash in it.
struct Target {
  const OpenToken& token;
  const Key& key;
  EVP_PKEY* public_half;
  SessionObjects& objects;
  const Say& say;
};

// Reads and wraps the key itself, which changes nothing; sets, copies and widens on session copies.
// What comes out stays in wiped memory until it is compared. Throws only what ends every
// experiment: the token is gone.
std::vector<Attack> attack_key(const Target& target);
// The same of a key that is gone with the session: it is changed itself, and where the token copies
// it not at all, that is a refusal.
std::vector<Attack> attack_session_key(const Target& target);

// The parts. The key may be a copy.
std::vector<Attack> read_attacks(const Target& target);
std::vector<Attack> wrap_attacks(const Target& target);
// On the object `changed`, and on copies of the key; none where the token made no copy to change,
// which it answered with `ckr`.
std::vector<Attack> change_attacks(const Target& target, std::optional<CK_OBJECT_HANDLE> changed,
                                   const std::string& ckr);

// An attempt that the token answered with this error: refused where the answer is about the key,
// not tested where it is about anything else. Throws it again when the token is gone.
Attack failed_attack(const std::string& kind, const std::string& with, const Error& error);

// True of an answer that says that the key must not be read, wrapped, copied or changed so. A code
// about the mechanism or the device says nothing about the key.
bool is_about_key(const std::string& ckr);

}  // namespace hsmith::tokens
