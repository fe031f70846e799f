// What sign and verify have in common: how a raw signature is made.
#pragma once

#include <openssl/evp.h>
#include <string>

#include "cli/arguments.h"
#include "src/base/bytes.h"
#include "src/ossl/algorithms.h"

namespace hsmith::cli {

struct SignatureOptions {
  std::string digest;
  std::string scheme;
  std::string sig_format = "der";
  bool prehashed = false;

  bool raw() const { return sig_format == "raw"; }
};

void add_signature_options(Arguments& command, SignatureOptions& options);

// Throws usage when a raw r || s form is asked of a key that is not ECDSA.
void check_sig_format(const SignatureOptions& options, const EVP_PKEY* key);

// Throws unsupported when an Ed25519 key is given a digest, which it does not sign.
void refuse_prehashed_ed25519(const SignatureOptions& options, const EVP_PKEY* key);

// The digest of a file of any size, in constant memory; with --prehashed the digest that the file
// holds; for Ed25519 the whole file, at most 64 MiB. Throws unsupported for Ed25519 where it cannot
// be, malformed for a digest of the wrong length.
Bytes input_to_sign(const std::string& file, const EVP_PKEY* key, const ossl::Scheme& scheme,
                    const SignatureOptions& options);

}  // namespace hsmith::cli
