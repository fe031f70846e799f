// Private keys that are outside of a token: read from files, and proved to fit a public key.
#pragma once

#include <functional>
#include <string>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/ossl/handles.h"

namespace hsmith::recovery {

// Asked once, and only when something is encrypted.
using AskPassword = std::function<Secret()>;

// What no file may ask for: work that is done before anything is known to be right.
inline constexpr long kMostIterations = 10'000'000;

// Throws refused when a password-based encryption (PBES1, PBES2, PKCS#12) asks for more iterations
// than kMostIterations, malformed when its parameters cannot be read.
void check_iterations(const X509_ALGOR* encryption, const std::string& input);
// "PBES2 aes-256-cbc hmacWithSHA256, 200000 iterations", "pbeWithSHA1And40BitRC2-CBC, 2048
// iterations".
std::string describe_encryption(const X509_ALGOR* encryption);

// The library context that has OpenSSL's legacy algorithms (RC2, RC4, DES) where its legacy
// provider is installed. Borrowed; lives as long as the process.
OSSL_LIB_CTX* context_with_legacy();

// The one private key of a file: PKCS#8, plain or encrypted (RFC 5958), or the traditional PEM of
// OpenSSL (PKCS#1, RFC 5915, "Proc-Type: 4,ENCRYPTED"); DER or PEM, certificates beside it are
// passed over. Throws malformed, pin_incorrect for a wrong password, refused for an encryption that
// is no work to do.
ossl::PKey read_private_key(ByteView content, const std::string& input,
                            const AskPassword& password);

// A private key from one DER element: PKCS#8, PKCS#1 or RFC 5915. Throws malformed.
ossl::PKey private_key_from_der(ByteView der, const std::string& input);
// PKCS#8, DER, not encrypted.
Secret private_key_der(const EVP_PKEY* key);

// Why the private key is not the other half of `public_key`; empty when it is. RSA: modulus and
// exponent, p q = n, e d = 1 mod lcm(p-1, q-1), the CRT numbers (RFC 8017, 3.2), and random bytes
// encrypted and decrypted; EC: the point, d G, and an agreement both ways; else a signature.
std::string pair_problem(EVP_PKEY* private_key, EVP_PKEY* public_key);

}  // namespace hsmith::recovery
