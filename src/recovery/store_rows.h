// What the rows of every store have in common.
#pragma once

#include "src/recovery/store.h"

namespace hsmith::recovery {

// SHA-256 hashes one behind the other, and back. Throws malformed.
Bytes joined_hashes(const std::vector<Bytes>& hashes);
std::vector<Bytes> parted_hashes(ByteView joined);

// Throws malformed when a key has so many rows already that no more are read.
void refuse_too_many(std::size_t have, std::size_t most, const char* what);

}  // namespace hsmith::recovery
