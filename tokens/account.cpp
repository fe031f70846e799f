#include "tokens/account.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "src/base/shell_words.h"
#include "src/base/text.h"

namespace hsmith::tokens {

Account find_account(const std::string& name) {
  const passwd* entry = getpwnam(name.c_str());
  if (entry == nullptr) {
    throw Error(Kind::usage,
                fmt::format("become the user {}: there is no such user", quoted(name)));
  }
  return {name, entry->pw_dir, entry->pw_uid, entry->pw_gid};
}

Account account_of(const std::string& name) {
  Account account = find_account(name);
  if (geteuid() == 0) return account;
  throw Error(Kind::usage, fmt::format("become the user {}: only root can", quoted(name)))
      .hint("sudo hsmith use … --as-user " + shell_word(name));
}

std::string group_name(const Account& account) {
  if (const group* entry = getgrgid(account.group)) return entry->gr_name;
  throw Error(Kind::unsupported, fmt::format("name the group of the user {}: the group {} has no "
                                             "name on this machine",
                                             quoted(account.name), account.group));
}

void become(const Account& account) {
  if (initgroups(account.name.c_str(), account.group) != 0 || setgid(account.group) != 0 ||
      setuid(account.user) != 0) {
    throw Error(Kind::usage,
                fmt::format("become the user {}: {}", quoted(account.name), std::strerror(errno)));
  }
  setenv("HOME", account.home.c_str(), 1);
}

Error seen_by(const std::optional<Account>& account, const Error& error) {
  if (!account) return error;
  return Error(error.kind(), fmt::format("as {}: {}", account->name, error.what()))
      .hint(fmt::format("see that {} may read the PIN file, the module, and the folder of its "
                        "tokens",
                        account->name));
}

}  // namespace hsmith::tokens
