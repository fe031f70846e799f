// Whether a token is still there.
#pragma once

#include "pkcs11/module.h"

namespace hsmith::pkcs11 {

// False when a token that has random numbers (CKF_RNG) gives none any more: its card was pulled
// out, or what serves it is gone. No module answers this from memory; OpenSC 0.23 does so for
// C_FindObjects and, within a second, for C_GetTokenInfo. True where it cannot be asked.
bool still_answers(const Module& module, CK_SLOT_ID slot, const TokenInfo& token);

}  // namespace hsmith::pkcs11
