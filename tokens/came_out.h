// Whether what came out of a token is the key that was attacked.
#pragma once

#include <openssl/evp.h>
#include <p11-kit/pkcs11.h>

#include "src/base/bytes.h"

namespace hsmith::tokens {

// `unknown`: hsmith cannot tell. A token may answer anything.
enum class CameOut { the_key, something_else, unknown };

// The value of one attribute (PKCS#11 2.40 mechanisms, 2.1.3 and 2.3.4) beside the public half,
// which is null for a secret key: nothing is known of that one.
CameOut attribute_came_out(CK_ATTRIBUTE_TYPE type, ByteView value, EVP_PKEY* public_half);

// A private key as tokens wrap it: PKCS#8, PKCS#1 or RFC 5915 with anything behind it, or a curve's
// bare number. Bytes that are none of these are unknown.
CameOut key_came_out(ByteView bytes, EVP_PKEY* public_half);

}  // namespace hsmith::tokens
