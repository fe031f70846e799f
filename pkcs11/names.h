// Names of PKCS#11 constants, both ways, one table each.
#pragma once

#include <string>

#include "pkcs11/cryptoki.h"

namespace hsmith::pkcs11 {

// "CKA_LABEL", "CKM_RSA_PKCS", ...; a number that is in no table comes as hex, with a word when it
// lies in the vendors' range: "0x80000001 (vendor-defined)".
std::string attribute_name(CK_ATTRIBUTE_TYPE type);
std::string mechanism_name(CK_MECHANISM_TYPE type);
std::string user_name(CK_USER_TYPE type);

// A number of a table-less kind: "0x1f", with the vendors' range named.
std::string number_name(unsigned long value);

}  // namespace hsmith::pkcs11
