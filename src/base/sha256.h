// SHA-256, for chains and file names.
#pragma once

#include <string>

#include "src/base/bytes.h"

namespace hsmith {

// Lower-case hex, 64 characters (FIPS 180-4).
std::string sha256_hex(ByteView data);

}  // namespace hsmith
