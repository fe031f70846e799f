// A key that a command made for something.
#pragma once

#include <functional>

#include "src/base/error.h"
#include "tokens/keys.h"

namespace hsmith::cli {

// Takes back a key that was made for something that failed, after `first`, and throws the error:
// as it was, or as unfinished when not all could be removed.
[[noreturn]] void remove_new_key(const tokens::OpenToken& token, const tokens::Key& key,
                                 const Error& error, const std::function<void()>& first);

}  // namespace hsmith::cli
