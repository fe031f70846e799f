// Many keys, one after the other.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "tokens/keys.h"

namespace hsmith::tokens {

// What is on a token before several keys are made, so that none of them takes a search of its own:
// on a full token a search takes longer than making a key.
struct Occupied {
  std::vector<CK_OBJECT_HANDLE> handles;
  std::set<std::string> labels;
  std::set<Bytes> ids;
};
Occupied what_is_on(const OpenToken& token);
// As check_free of keys.h.
void check_free(const OpenToken& token, const Occupied& there, const std::string& label);
// As generate; the new key comes to what is there. It is read back by its handle:
// check_all_there, after the last key, searches for them all.
Generated generate_next(const OpenToken& token, const KeySpec& spec, Occupied& there,
                        const std::function<void(EVP_PKEY*)>& made_it);
// Throws token_failed unless a search finds every one of the keys.
void check_all_there(const OpenToken& token, std::span<const Key> keys);

}  // namespace hsmith::tokens
