// Digests that are too weak for signatures.
#pragma once

#include "src/ossl/algorithms.h"

namespace hsmith::ossl {

// SHA-1: whoever chose the content may have another one with the same digest.
bool is_weak(const Scheme& scheme);

// Throws refused for a new signature with a weak digest.
void refuse_weak_digest(const Scheme& scheme);

}  // namespace hsmith::ossl
