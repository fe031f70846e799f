// Work on a token that may crash under it: in a child process.
#pragma once

#include <functional>
#include <string>

#include "cli/context.h"
#include "tokens/child_process.h"

namespace hsmith::cli {

// Opens the token for changes, as the user, takes its lock, and gives what `work` makes. All of it
// in a child process, which takes its session objects along when it crashes: that is token_failed
// with `doing` and what `work` said last that it does. Ten minutes at most. Warnings come back too.
using TokenWork = std::function<Json(const tokens::OpenToken& token, const tokens::Say& say)>;
Json in_token_child(Context& context, const tokens::Selector* selector, const std::string& doing,
                    const TokenWork& work);

}  // namespace hsmith::cli
