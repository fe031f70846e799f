// Which agents an archived key is encrypted to.
#pragma once

#include <cstdint>
#include <vector>

#include "src/recovery/archive.h"

namespace hsmith::recovery {

// How many steps the cursor goes for one key.
std::int64_t cursor_step(Selection selection, std::size_t per_key);

// The agents (indices below `usable`) for the key at this place of the cursor. roundrobin:
// `per_key` in turn; spread: the next of all C(usable, per_key) subsets; all: all. 1 <= per_key <=
// usable.
std::vector<std::size_t> select_agents(Selection selection, std::size_t usable, std::size_t per_key,
                                       std::int64_t cursor);

// A number for the first cursor, 0 to 2^31 - 1.
std::int64_t random_cursor();

}  // namespace hsmith::recovery
