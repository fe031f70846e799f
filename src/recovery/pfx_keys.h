// What a password gives for PKCS#12 files that hsmith writes: derived once for all files of a run.
#pragma once

#include <optional>

#include "src/base/secret.h"

namespace hsmith::recovery {

// PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA-256 (RFC 8018, 6.2), MAC with SHA-256 (RFC 7292, B).
// Files under one password may have one salt: whoever guesses it has all of them anyhow.
struct PfxKeys {
  Bytes salt;
  Bytes mac_salt;
  Secret encryption;
  Secret mac;
};
PfxKeys derive_pfx_keys(const Secret& password);

struct Pbes2 {
  Bytes algorithm;  // AlgorithmIdentifier, DER
  Bytes encrypted;
};
Pbes2 pbes2_encrypt(const PfxKeys& keys, ByteView plaintext);
// nullopt when it was encrypted with another salt or in another way, or the padding is wrong.
std::optional<Secret> pbes2_decrypt(const PfxKeys& keys, ByteView algorithm, ByteView encrypted);

// The PFX around an AuthenticatedSafe, DER.
Bytes pfx_around(const PfxKeys& keys, ByteView authenticated_safe);
// Whether a PFX has these keys' MAC.
bool has_mac_of(const PfxKeys& keys, ByteView pfx);

}  // namespace hsmith::recovery
