// DER (X.690) put together from its parts, for messages of any size.
#pragma once

#include <initializer_list>

#include "src/base/bytes.h"

namespace hsmith::cms {

// One element: identifier, length, the parts one after the other.
Bytes der(unsigned char tag, std::initializer_list<ByteView> parts);

// OBJECT IDENTIFIER by OpenSSL's number; AlgorithmIdentifier without parameters.
Bytes der_oid(int nid);
Bytes der_algorithm(int nid);

}  // namespace hsmith::cms
