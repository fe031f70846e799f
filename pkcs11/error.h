// The one table of CKR codes, and the way from a CK_RV to an Error.
#pragma once

#include <string>
#include <string_view>

#include "pkcs11/cryptoki.h"
#include "src/base/error.h"

namespace hsmith::pkcs11 {

struct ReturnCode {
  CK_RV value;
  const char* name;  // "CKR_PIN_INCORRECT"
  Kind kind;
  const char* meaning;  // "the PIN is wrong"
  const char* remedy;   // what to do, or ""
};

// "CKR_PIN_INCORRECT"; for a code that is in no table its number: "0x80000001 (vendor-defined)".
std::string return_code_name(CK_RV rv);

// "the PIN is wrong (CKR_PIN_INCORRECT from C_Login)", with the table's remedy as hint.
Error error_of(CK_RV rv, std::string_view function);

// Throws error_of unless `rv` is CKR_OK.
void check(CK_RV rv, std::string_view function);

}  // namespace hsmith::pkcs11
