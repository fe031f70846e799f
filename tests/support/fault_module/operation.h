// The operations of a session: signing, verifying, encrypting, decrypting, digesting.
#pragma once

#include "tests/support/fault_module/functions.h"

namespace hsmith::fault {

// Ends the operation of the real session that `function` (C_Sign, C_SignUpdate, C_SignFinal, ...)
// goes on with; does nothing for a function of no operation. A function that fails ends its
// operation (PKCS#11 2.40, 5.11 to 5.15); without this the next C_SignInit would meet the operation
// of a call that never reached the real module.
void end_operation(const CK_FUNCTION_LIST& real, Function function, CK_SESSION_HANDLE session);

}  // namespace hsmith::fault
