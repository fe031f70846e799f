// What particular modules do otherwise than the standard says. Each line has its version and
// reason.
#pragma once

#include <string>

#include "pkcs11/cryptoki.h"

namespace hsmith::tokens {

struct Quirks {
  // The module rewrites the token's own file at each login and other processes that read it then
  // fail (SoftHSM 2.6.1: a quarter to a third of parallel calls). One process at a time starts and
  // logs in; what fails all the same is tried again.
  bool rewrites_at_login = false;
};

// By the module's file name, so that it is known before the module is loaded.
Quirks quirks_of(const std::string& module_path);

// True for the codes that such a module answers when another process was rewriting the token.
// Never a code that says anything about the PIN being right or wrong.
bool is_busy_code(const std::string& ckr);

}  // namespace hsmith::tokens
