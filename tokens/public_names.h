// What can be named on tokens without a login: for completion on the command line.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tokens/configured_modules.h"
#include "tokens/token.h"

namespace hsmith::tokens {

enum class Nameable { tokens, keys, certificates };

// By what it can be named: the label, and with "label:", "id:" and the URI. `keys` are those whose
// public key or certificate is visible.
struct PublicName {
  std::string label;  // may be empty
  Bytes id;
  std::string uri;
};

// Of the tokens that are meant, sorted, each once. In a child process that is ended after `limit`:
// a module that fails, hangs or crashes has no names. Never logs in; throws nothing that a module
// does. Must run while this process has no module loaded.
std::vector<PublicName> public_names(const ConfiguredModule& module, const TokenChoice& choice,
                                     Nameable what, std::chrono::milliseconds limit);

}  // namespace hsmith::tokens
