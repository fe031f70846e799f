// Private keys as Windows writes them: CryptoAPI's PRIVATEKEYBLOB and the blobs of CNG.
#pragma once

#include <string>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/ossl/handles.h"

namespace hsmith::recovery {

// The plaintext under which a key is archived: RSA as a PRIVATEKEYBLOB ([MS-WCCE] 2.2.2.9.1, which
// `certutil -recoverkey` reads), EC as PKCS#8. Throws unsupported for any other key, and for RSA
// keys whose numbers it has no room for.
Secret archived_form(const EVP_PKEY* key);

// How that can begin for the key whose public half this is, at most 16 bytes: nothing of them is
// secret.
std::vector<Bytes> archived_openings(EVP_PKEY* public_key, std::size_t size);

// A private key in any form that is met in archives: PRIVATEKEYBLOB, CNG's RSA2, RSA3 and ECK2,
// ECK4, ECK6, PKCS#8, PKCS#1 and RFC 5915, and PKCS#12 without a password. Numbers of CNG are tried
// in both byte orders, since documents disagree: `expected`, the public half that the key must
// have, decides. The key is proved (pair_problem). Throws malformed, mismatch with what does not
// fit, refused for a PRIVATEKEYBLOB of a signature key.
ossl::PKey read_archived_key(ByteView plaintext, EVP_PKEY* expected, const std::string& input);

}  // namespace hsmith::recovery
