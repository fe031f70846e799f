// An authority that a command works with: its file, its settings, its key on a token.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "src/base/lock.h"
#include "src/ca/certificate.h"
#include "src/ca/store.h"
#include "tokens/keys.h"

namespace hsmith::cli {

struct OpenAuthority {
  std::optional<FileLock> lock;  // one command at a time changes an authority
  Database store;
  ca::Settings settings;
  std::vector<ca::Authority> certificates;
};
// Throws not_found with the authorities that there are; to change it, busy with the process that
// does so already.
OpenAuthority open_authority(Context& context, const std::string& name, DatabaseMode mode);

// The lock of an authority that may not exist yet.
FileLock lock_authority(const Context& context, const std::string& name);

// The token that the command line names, else the one on which the key was made.
struct AuthorityToken {
  tokens::Reach way;
  tokens::OpenToken token;
  tokens::Inventory inventory;
};
AuthorityToken open_authority_token(Context& context, const OpenAuthority& authority,
                                    pkcs11::Access access);

// The key of one of the authority's certificates. Throws mismatch when the token does not hold it.
ca::Signer signer_of(const AuthorityToken& token, const ca::Authority& authority);

// The label of a key of the authority: that in service has the authority's name, the first one
// before it NAME@1.
std::string label_of_generation(const std::string& name, int generation, int in_service);

// Brings the token to what the authority's file says: labels, and beside the key in service its
// newest certificate instead of older ones. What is so already stays; can be run again.
void settle_token(const tokens::OpenToken& token, const OpenAuthority& authority);

// What an audit entry says of the token where a command needs none.
pkcs11::TokenInfo token_of(const ca::Settings& settings);

Json issued_json(const ca::Issued& issued);

}  // namespace hsmith::cli
