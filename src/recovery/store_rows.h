// What the rows of every store have in common.
#pragma once

#include "src/recovery/store.h"

namespace hsmith::recovery {

// SHA-256 hashes one behind the other, and back. Throws malformed.
Bytes joined_hashes(const std::vector<Bytes>& hashes);
std::vector<Bytes> parted_hashes(ByteView joined);

// Whose turn it is, as a number that can be added to: any is as good, and nothing seals it.
std::int64_t usable_cursor(std::int64_t stored);

// Throws malformed when a key has so many rows already that no more are read.
void refuse_too_many(std::size_t have, std::size_t most, const char* what);

}  // namespace hsmith::recovery
