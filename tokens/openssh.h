// Keys as OpenSSH sees them, which reads PKCS#11 modules by itself.
#pragma once

#include <optional>
#include <string>

#include "tokens/keys.h"

namespace hsmith::tokens {

// Throws unsupported with the reason when OpenSSH (9.2, Debian 12) could not use the key: its type,
// its uses, a login for each signature, no id, or no public half beside it.
void check_usable_by_openssh(const Inventory& inventory, const Key& key);

// ssh-add sends the PIN to every token of the module. Throws unsupported where there are others.
void check_only_token(const OpenToken& token);

struct OpensshUse {
  std::string module;               // its real path
  std::string public_key;           // an authorized_keys line
  std::string askpass;              // the program that answers for the PIN
  std::optional<std::string> user;  // whom ssh runs as; needs root
};

// Gives the module to an ssh-agent of its own, lets ssh-keygen sign with the key through it, as git
// does, and ssh-keygen verify. In a child process, which leaves nothing. Throws what went wrong,
// with what the programs said. Must run while this process has no module loaded.
void sign_through_openssh(const OpensshUse& use);

}  // namespace hsmith::tokens
