// Keys found by their public half.
#pragma once

#include <vector>

#include "tokens/keys.h"

namespace hsmith::tokens {

// The private keys whose public half is `wanted`, as far as it is known.
std::vector<const Key*> keys_with(const Inventory& inventory, EVP_PKEY* wanted);

}  // namespace hsmith::tokens
