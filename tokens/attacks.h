// Attempts to get a key out of its token, made instead of believing what the token says.
#pragma once

#include <string>
#include <vector>

#include "src/base/error.h"
#include "tokens/keys.h"
#include "tokens/session_objects.h"

namespace hsmith::tokens {

enum class AttackResult { refused, worked, not_tested };

// One attempt, and what came of it.
struct Attack {
  std::string kind;  // "read", "wrap", "unwrap", "copy", "set", "widen"
  std::string with;  // "CKA_PRIVATE_EXPONENT", "CKM_AES_KEY_WRAP", "CKA_EXTRACTABLE=true"
  AttackResult result = AttackResult::not_tested;
  std::string ckr;   // the token's answer; empty when it did what was asked
  std::string note;  // one line, or empty
};

const char* result_name(AttackResult result);

// Reads and wraps the key itself, which changes nothing; sets, copies and widens on session copies.
// What comes out stays in wiped memory until it is compared with `public_half`, which is null for a
// secret key. Throws only what ends every experiment: the token is gone.
std::vector<Attack> attack_key(const OpenToken& token, const Key& key, EVP_PKEY* public_half,
                               SessionObjects& objects);

// The parts. `key` may be a copy.
std::vector<Attack> read_attacks(const OpenToken& token, const Key& key, EVP_PKEY* public_half);
std::vector<Attack> wrap_attacks(const OpenToken& token, const Key& key, EVP_PKEY* public_half,
                                 SessionObjects& objects);
std::vector<Attack> copy_attacks(const OpenToken& token, const Key& key, EVP_PKEY* public_half,
                                 SessionObjects& objects);

// An attempt that the token answered with this error: refused where the answer is about the key,
// not tested where it is about anything else. Throws it again when the token is gone.
Attack failed_attack(const std::string& kind, const std::string& with, const Error& error);

}  // namespace hsmith::tokens
