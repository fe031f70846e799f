// What a token says of a key's protection and uses, by the names that hsmith prints.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tokens/keys.h"

namespace hsmith::tokens {

// "extractable", "never_extractable", "sign", …; what the token does not say is absent.
using KeyClaims = std::vector<std::pair<std::string, bool>>;
KeyClaims claims_of(const OpenToken& token, CK_OBJECT_HANDLE key);
Claim claim_named(const KeyClaims& claims, std::string_view name);

}  // namespace hsmith::tokens
