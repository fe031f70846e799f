// A wrapping key that the security officer makes.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "tokens/templates.h"

namespace hsmith::cli {

struct WrappingKeyOptions {
  // For other tokens: their public keys, and the file that takes the wrapping key there.
  std::vector<std::string> to;
  std::string output;
  // From another token: that file, and the decryption key here that it was made for.
  std::string from;
  std::string key;
  // The beginnings of the public keys' SHA-256, or the check value of the key that comes.
  std::vector<std::string> approvals;
};

// key generate --use wrap, from the login to the answer. `login_as` must be "so".
// An id of its own is made where the spec has none: the key cannot be changed afterwards. Throws
// login_failed for another login, usage for options that do not go together, refused without an
// approval, unsupported where the token would let the key out, and token_failed.
Outcome make_wrapping_key(tokens::KeySpec spec, const std::string& login_as,
                          const WrappingKeyOptions& options, Context& context);

}  // namespace hsmith::cli
