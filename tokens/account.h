// Another user of this machine, whom a child process becomes.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

#include "src/base/error.h"

namespace hsmith::tokens {

struct Account {
  std::string name;
  std::string home;
  uid_t user;
  gid_t group;
};

// Throws usage when there is no such user.
Account find_account(const std::string& name);

// The same, whom this process can become; throws usage when it cannot.
Account account_of(const std::string& name);

// The account's primary group by name; throws unsupported when it has none.
std::string group_name(const Account& account);

// This process is that user from now on, with its groups and HOME.
void become(const Account& account);

// What went wrong, said of the user whom the process had become, if any.
Error seen_by(const std::optional<Account>& account, const Error& error);

}  // namespace hsmith::tokens
