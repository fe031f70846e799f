// Tokens as text and JSON.
#pragma once

#include "cli/context.h"

namespace hsmith::cli {

// "ready", "not initialised", "PIN locked", "last try", …: what a user must know before a login.
std::string token_state(const pkcs11::TokenInfo& token);
// The same of the security officer's PIN.
std::string officer_pin_state(const pkcs11::TokenInfo& token);

Json token_json(const pkcs11::TokenInfo& token);

}  // namespace hsmith::cli
