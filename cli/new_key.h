// A key that a command made for something.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "tokens/keys.h"

namespace hsmith::cli {

// Takes back a key that was made for something that failed, after `first`, and throws the error:
// as it was, or as unfinished when not all could be removed.
[[noreturn]] void remove_new_key(const tokens::OpenToken& token, const tokens::Key& key,
                                 const Error& error, const std::function<void()>& first);

// What a key must be able to do for these key usages; empty when they say nothing of it.
std::set<tokens::Use> uses_of_key_usage(const std::vector<std::string>& key_usage,
                                        ossl::KeyAlgorithm algorithm);

}  // namespace hsmith::cli
