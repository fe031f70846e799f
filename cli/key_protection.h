// How a key may leave its token, where the token has to be asked for it.
#pragma once

#include "cli/context.h"
#include "tokens/keys.h"

namespace hsmith::cli {

// As in key_output.h; "extractable only under a trusted key" for a key that was made for backups.
std::string protection_text(const tokens::OpenToken& token, const tokens::Key& key);
Json key_json(const tokens::OpenToken& token, const tokens::Key& key);
// The same of a key that was just made, or put there: a failure says that it is done.
Json made_key_json(const tokens::OpenToken& token, const tokens::Key& key);

}  // namespace hsmith::cli
