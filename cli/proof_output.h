// Proofs that keys cannot leave, as text and JSON.
#pragma once

#include "cli/context.h"
#include "tokens/proof.h"

namespace hsmith::cli {

// "tested", "claimed", "not claimed", "not tested", "refuted".
std::string state_text(tokens::FactState state);
// The same of a state's name in JSON.
std::string state_words(std::string name);

// What a report says of the key and its token, fact by fact and attempt by attempt.
Json proof_json(const tokens::Proof& proof);
std::string proof_text(const tokens::Proof& proof);

}  // namespace hsmith::cli
