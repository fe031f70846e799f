// A key that was just made, imported or unwrapped: found again, checked, or gone again.
#pragma once

#include <string>
#include <vector>

#include "tokens/keys.h"
#include "tokens/reading.h"

namespace hsmith::tokens {

// How a key may leave its token: not at all, or wrapped under a trusted key (--backup-under).
enum class Leaving { never, under_trusted_keys };

// True of a private key that leaves the token wrapped under a trusted key, and in no other way, by
// what the token says of it. The token is asked only of a key that can leave at all.
bool is_for_backup(const OpenToken& token, const Key& key);

// As generate and import_key (keys.h, import.h), for a key that may leave its token.
Generated generate_for_backup(const OpenToken& token, const KeySpec& spec,
                              const std::function<void(EVP_PKEY*)>& made_it);

// The key under the label and id that it was given, and only it. A label that the token gives of
// its own stays.
Key find_again(const OpenToken& token, const KeySpec& spec, const Bytes& id);
// True when the token hands out the private value.
bool is_readable(const OpenToken& token, const Key& key);
// Throws token_failed for a key that is not protected as it should be.
void check_protection(const OpenToken& token, const Key& key, Leaving leaving);
// Both, and an operation that proves it the private half of `half`, for a key that was not made
// here.
Key find_and_prove(const OpenToken& token, const KeySpec& spec, Leaving leaving, EVP_PKEY* half);
// Gives an object its id, and reads it back.
void set_id(const OpenToken& token, CK_OBJECT_HANDLE object, const Bytes& id);
// Puts the public key beside the private one (CKA_PUBLIC_KEY_INFO): a signature then needs no
// second object to be verified with. A convenience that not every token has.
void keep_public_key(const OpenToken& token, CK_OBJECT_HANDLE private_key, EVP_PKEY* half);

// Handles of everything on the token that the session sees.
std::vector<CK_OBJECT_HANDLE> all_objects(const OpenToken& token);

// A key that is being made: what was on the token before, and what the token said that it made.
struct Making {
  std::vector<CK_OBJECT_HANDLE> before;
  std::vector<CK_OBJECT_HANDLE> made;
};

// Removes what a generation that failed left on the token: what was made, and of what else was not
// there before the keys of its type with its label and its id, or none yet, and those that are
// nothing but begun (SoftHSM 2.6.1 leaves one without label and id). hsmith's lock keeps no other
// program from making keys meanwhile: what may be another's stays, and token_failed says so.
// Returns how many objects it removed.
std::size_t remove_leftovers(const OpenToken& token, const Making& making, const KeySpec& spec);
// The error that says what became of it, after remove_leftovers: `error`, or an unfinished one.
[[noreturn]] void fail_without_leftovers(const OpenToken& token, const Making& making,
                                         const KeySpec& spec, const std::string& doing,
                                         const Error& error);

// What `make` returns, which makes objects with the label of `spec`, and notes in the Making what
// the token made. What it left on the token when it throws is removed.
template <typename Make>
auto made_or_removed(const OpenToken& token, const KeySpec& spec, const std::string& doing,
                     Make make) {
  Making making{while_doing(doing, [&] { return all_objects(token); }), {}};
  try {
    return make(making);
  } catch (const Error& error) {
    fail_without_leftovers(token, making, spec, doing, error);
  }
}

}  // namespace hsmith::tokens
