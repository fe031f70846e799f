// Keys as other programs see them: through libp11's engine for OpenSSL.
#pragma once

#include <openssl/evp.h>
#include <optional>
#include <span>
#include <string>

#include "src/ossl/algorithms.h"
#include "tokens/keys.h"

namespace hsmith::tokens {

// The path of the engine "pkcs11" in OpenSSL's folder of engines. Throws unsupported when it is not
// there.
std::string pkcs11_engine();

// Throws unsupported with the reason when libp11 (0.4.12, Debian 12) could not use the key: its
// type, its uses, a login for each signature, or another key on the token that libp11 stops at.
void check_usable_by_libp11(const Inventory& inventory, const Key& key);

// Throws when libp11 (0.4.12) would not read the PIN from this file as hsmith does: it takes a line
// feed for a part of the PIN, and no more than 31 bytes. Malformed or unsupported.
void check_pin_file_for_libp11(const std::string& path);

// What a program is given to reach a key.
struct EngineUse {
  std::string configuration;        // the content of its openssl.cnf
  std::string uri;                  // of the private key, with the source of its PIN
  std::optional<std::string> user;  // whom the program runs as; needs root
  // nginx takes an error that a signature left in OpenSSL's queue for the handshake's.
  bool wants_empty_queue = false;
};

// Makes one signature with each scheme as such a program would, in a child process, and verifies
// them with the public key. Throws what went wrong, with what libp11 said of it; unsupported for a
// mechanism that the token does not have, and where the program would take a signature for a
// failure. Must run while this process has no module loaded.
void sign_through_engine(const EngineUse& use, EVP_PKEY* public_key,
                         std::span<const ossl::Scheme> schemes);

}  // namespace hsmith::tokens
