// A key with all that goes with it, for a change that must leave nothing out.
#pragma once

#include "tokens/keys.h"

namespace hsmith::tokens {

// As objects_of, but nothing of another private key: a half that may be another's is proved by an
// operation, and what a copy of the key has by its id or label stays with the copy. And nothing
// that the token finds by the key's id is missing from the inventory, or among what could not be
// read: throws token_failed otherwise.
KeyObjects whole_key(const OpenToken& token, const Inventory& inventory, const Key& key);

}  // namespace hsmith::tokens
