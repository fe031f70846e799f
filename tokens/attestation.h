// What the maker of a device says of a key: certificates that the device itself issued.
#pragma once

#include <string>
#include <vector>

#include "tokens/keys.h"

namespace hsmith::tokens {

// The attestation certificate of a key and those above it that the token has, leaf first; empty
// where there is none. A YubiKey behind ykcs11 shows one beside each key that was made in it, and
// the one of its slot F9 that signs them.
std::vector<Bytes> attestation_of(const Inventory& inventory, EVP_PKEY* public_half);

// Why the certificates do not attest the key up to one of the roots; empty when they do: the first
// has this public key, and a path leads from it to a root.
std::string attestation_problem(const std::vector<Bytes>& certificates, EVP_PKEY* public_half,
                                const std::vector<ossl::Certificate>& roots, std::time_t time);

}  // namespace hsmith::tokens
