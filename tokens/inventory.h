// Everything on a token, read by one or by several sessions.
#pragma once

#include "tokens/keys.h"

namespace hsmith::tokens {

// As take_inventory: one search, and one call an object; one search more where there are
// certificates. The objects are shared among `sessions` sessions: on a device behind a network each
// call waits for an answer.
Inventory take_inventory(const OpenToken& token, unsigned sessions);

}  // namespace hsmith::tokens
