// Memory for private keys that are in this process: wiped when it is given back, not swapped out.
#pragma once

#include <string>

namespace hsmith::ossl {

// To be called before a private key is read, and before OpenSSL is used: from then on all memory
// that OpenSSL gives back is wiped, and heap and stack are locked into RAM. Empty when both is so,
// else the reason why not. Doing it again changes nothing.
std::string guard_key_memory();

}  // namespace hsmith::ossl
