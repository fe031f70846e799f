// Keys that leave the token wrapped, and come back.
#pragma once

#include <optional>
#include <vector>

#include "src/base/error.h"
#include "tokens/backup_file.h"
#include "tokens/certificates.h"
#include "tokens/wrapping.h"

namespace hsmith::tokens {

// Throws refused for a key that was not made for a backup.
void check_is_for_backup(const OpenToken& token, const Key& key);

// Wraps the keys and signs the whole, each key by a copy of itself that comes out of what was
// wrapped: so that a backup that cannot be opened again is not written.
Backup make_backup(const OpenToken& token, const Key& wrapping_key, const std::vector<Key>& keys);

// The wrap of this token by which `backup` can be opened. Throws unsupported when there is none,
// and mismatch when `wrapping_key` is another one than that of the backup.
KeyWrap wrap_for(const OpenToken& token, const Key& wrapping_key, const Backup& backup);

// Unwraps into a session of its own, whose objects are gone afterwards: what comes out is protected
// as before, and is the private half of the public key, by a challenge. nullopt, or what speaks
// against it: mismatch when it does not unwrap or is another key, unsupported when the token does
// not protect it.
std::optional<Error> backup_problem(const OpenToken& token, const Key& wrapping_key,
                                    const KeyWrap& wrap, const BackedUpKey& key);

// Puts the key on the token, finds it again, and proves it as generate and import do. Nothing stays
// of one that fails.
Generated restore_key(const OpenToken& token, const Key& wrapping_key, const KeyWrap& wrap,
                      const BackedUpKey& key);

}  // namespace hsmith::tokens
