// Keys as text and JSON.
#pragma once

#include "cli/context.h"
#include "tokens/keys.h"

namespace hsmith::cli {

// The uses that the token claims for a key: "sign", "sign,decrypt"; "none" or "unknown".
std::string uses_text(const tokens::Key& key);

// "non-exportable", "EXPORTABLE", "not claimed": what the token says about whether the key can
// leave.
std::string protection_text(const tokens::Key& key);
// What a token says of a key's whole life (CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE): nothing,
// where it says too that the key was made elsewhere. openCryptoki 3.8 and ykcs11 2.2 say "always".
tokens::Claim lifelong(const tokens::Key& key, tokens::Claim claim);

// All that is known of a key; a fact that the token does not give is absent.
Json key_json(const tokens::Key& key);

// Warns of each object that could not be read: nobody knows which key it belongs to.
void warn_of_broken(const tokens::Inventory& inventory, Context& context);

// Everything on the token, for a command that changes a key and what goes with it.
tokens::Inventory inventory_for_change(const tokens::OpenToken& token, Context& context);
// The key and what goes with it (whole_key.h).
tokens::KeyObjects objects_for_change(const tokens::OpenToken& token, const tokens::Key& key,
                                      Context& context);

}  // namespace hsmith::cli
