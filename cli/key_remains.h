// What is on a token of a key whose making, change or deletion was interrupted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/repair.h"
#include "tokens/keys.h"

namespace hsmith::cli {

// What the entry's label stands for on the token now, or its id where the token's labels are its
// own, so far as it is what the entry was about: somebody may have made another key of that label
// since. A new key gets its id last, after its public half is in the journal; a `Whole` one had its
// own when it was begun with. What nothing but its name tells to be the entry's is in doubt.
enum class Whole { no, yes };
struct Remains {
  std::vector<tokens::Key> private_keys;
  std::vector<tokens::Key> public_keys;
  std::vector<std::string> in_doubt;  // URIs
};
// Throws what the token failed with where a private key has to prove that it is the entry's.
Remains remains_of(const tokens::OpenToken& token, const tokens::Inventory& inventory,
                   const journal::Entry& entry, Whole whole);

// Why a repair touches nothing, and what the user can do; nullopt: it is known what was meant.
std::optional<Repaired> ambiguous(const Remains& remains, const journal::Entry& entry);
Repaired in_doubt(const std::vector<std::string>& uris, const journal::Entry& entry);
Repaired several(const journal::Entry& entry);
// How an entry is closed of which the user knows more than the journal: the end of a message.
std::string or_delete(const journal::Entry& entry);

}  // namespace hsmith::cli
