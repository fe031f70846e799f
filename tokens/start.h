// The moment between the PIN and the module.
#pragma once

#include <functional>

#include "tokens/token.h"

namespace hsmith::tokens {

// As open_token. Where the PIN is known before the module is loaded, `before_start` is called in
// between: the last moment for a fork. What it is given opens the token, in a process that was
// forked as well.
OpenToken open_token(
    const Reach& reach, pkcs11::Access access, Login login, const PinOptions& pin_options,
    const std::function<void(const std::function<OpenToken()>& open)>& before_start);

}  // namespace hsmith::tokens
