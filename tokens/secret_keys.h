// Secret keys on a token, by the names that users give them.
#pragma once

#include "tokens/keys.h"

namespace hsmith::tokens {

// The secret key that the selector names: exactly one, or not_found / ambiguous with URIs.
Key find_one_secret(const OpenToken& token, const Selector& selector);
// The one private or secret key that the selector names. One of each is ambiguous, unless the
// selector is a URI with the type. Throws as find_one_secret.
Key find_one_of_both(const OpenToken& token, const Selector& selector);

}  // namespace hsmith::tokens
