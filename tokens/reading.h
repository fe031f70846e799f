// Single objects, read from a token by their handles.
#pragma once

#include "tokens/keys.h"

namespace hsmith::tokens {

// Reads a private, public or secret key in one call. Throws token_failed when the object says
// nothing about itself.
Key read_key(const OpenToken& token, CK_OBJECT_HANDLE handle, CK_OBJECT_CLASS object_class);

TokenCertificate read_certificate(const OpenToken& token, CK_OBJECT_HANDLE handle);

}  // namespace hsmith::tokens
