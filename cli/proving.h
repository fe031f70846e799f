// The making of a proof on a token, and the parts of its verification.
#pragma once

#include <string>

#include "cli/context.h"
#include "tokens/proof_signature.h"

namespace hsmith::cli {

// Throws what stands in the way of a proof: no such key, no login, a key that answers no challenge.
void check_provable(Context& context, const std::string& key);

// Attacks the key, reports, and has the key stand for the report. In a child process: what is
// attacked may crash, and takes its session objects along. Nothing is left on the token.
tokens::Bundle prove_on_token(Context& context, const std::string& key, ByteView challenge);

// Has another key sign as well. Throws usage when it is the same key.
void add_witness(Context& context, const std::string& key, ByteView challenge,
                 tokens::Bundle& bundle);

// The key that a report is about. Throws malformed.
ossl::PKey key_of_proof(const tokens::Proof& proof, const std::string& input);
// Why this witness does not stand for the bundle; empty when it does.
std::string witness_problem(const tokens::Bundle& bundle, ByteView challenge, EVP_PKEY* witness);

// The key of a public key file, a certificate or a request.
ossl::PKey read_any_public_key(const std::string& file);

// A key that stays where it is and can be computed from its public half has left all the same.
void warn_of_weakness(Context& context, EVP_PKEY* key);

}  // namespace hsmith::cli
