#include "tokens/openssh.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/account.h"
#include "tokens/child_process.h"
#include "tokens/printed_errors.h"

namespace hsmith::tokens {
namespace {

constexpr const char* kDoing = "sign through OpenSSH";
constexpr std::chrono::seconds kLimit{20};

// What is expected of the environment: MODULE, PUBLIC_KEY, ASKPASS.
constexpr const char* kScript = R"sh(
set -e
folder=$(mktemp -d)
trap 'test -z "$SSH_AGENT_PID" || kill "$SSH_AGENT_PID"; rm -rf "$folder"' EXIT
printf '%s\n' "$ASKPASS" > "$folder/askpass"
chmod 700 "$folder/askpass"
printf '%s\n' "$PUBLIC_KEY" > "$folder/key.pub"
printf 'key %s\n' "$PUBLIC_KEY" > "$folder/signers"
echo hsmith use --test > "$folder/message"
unset SSH_AGENT_PID SSH_AUTH_SOCK
eval "$(ssh-agent -s -a "$folder/agent" -P "$MODULE")" >/dev/null
SSH_ASKPASS=$folder/askpass SSH_ASKPASS_REQUIRE=force timeout 15 ssh-add -q -s "$MODULE" </dev/null >/dev/null
timeout 15 ssh-keygen -q -Y sign -f "$folder/key.pub" -n hsmith "$folder/message" </dev/null >/dev/null
ssh-keygen -q -Y verify -f "$folder/signers" -I key -n hsmith -s "$folder/message.sig" \
  < "$folder/message" >/dev/null
)sh";

bool known_to_openssh(const Key& key) {
  return key.type == CKK_RSA || (key.type == CKK_EC && key.curve != nullptr);
}

bool has_public_half(const Inventory& inventory, const Key& key) {
  const auto same_id = [&](const auto& object) { return object.id == key.id; };
  return std::any_of(inventory.public_keys.begin(), inventory.public_keys.end(), same_id) ||
         std::any_of(inventory.certificates.begin(), inventory.certificates.end(), same_id);
}

// The child's whole work.
std::string be_the_user(const OpensshUse& use, const std::optional<Account>& account) {
  if (account) {
    become(*account);
    unsetenv("TMPDIR");  // may be of the user that this process was
  }
  setenv("MODULE", use.module.c_str(), 1);
  setenv("PUBLIC_KEY", use.public_key.c_str(), 1);
  setenv("ASKPASS", use.askpass.c_str(), 1);
  const PrintedErrors printed;
  const int status = std::system(kScript);
  if (status == 0) return "";
  const std::string reasons = printed.text();
  throw seen_by(account, Error(Kind::token_failed,
                               fmt::format("{}: {}", kDoing,
                                           reasons.empty() ? "it failed" : printable(reasons))));
}

}  // namespace

void check_usable_by_openssh(const Inventory& inventory, const Key& key) {
  const auto refuse = [&](const std::string& cause) {
    return Error(Kind::unsupported, fmt::format("use {} through OpenSSH: {}", key.uri, cause));
  };
  if (!known_to_openssh(key)) {
    throw refuse(fmt::format("on tokens it knows RSA, P-256, P-384 and P-521 keys, this one is {}",
                             type_name(key)))
        .hint("make such a key: hsmith key generate NAME --type ec:p256");
  }
  if (key.sign && !*key.sign) {
    throw refuse("the key may not sign")
        .hint("make a key with: hsmith key generate NAME --type rsa:2048 --use sign");
  }
  if (key.always_authenticate) {
    throw refuse("the key wants its own login for each signature, and an agent has nobody to ask");
  }
  if (key.id.empty()) throw refuse("it finds keys by their id, and this one has none");
  if (!has_public_half(inventory, key))
    throw refuse("it looks for a public key or a certificate with the same id, and there is none");
}

void check_only_token(const OpenToken& token) {
  const auto slots = token.module->slots(CK_TRUE);
  const auto wants_pin = [&](CK_SLOT_ID slot) {
    const auto flags = token.module->token_info(slot).flags;
    return (flags & CKF_TOKEN_INITIALIZED) != 0 && (flags & CKF_LOGIN_REQUIRED) != 0;
  };
  const auto count = std::count_if(slots.begin(), slots.end(), wants_pin);
  if (count <= 1) return;
  throw Error(Kind::unsupported,
              fmt::format("give {} to ssh-agent: its module has {} tokens, and ssh-add sends the "
                          "PIN to each of them, where it counts as a wrong try",
                          token_uri(token.info), count))
      .hint(
          "let the module show this token only, or use the key through: hsmith use KEY --for ssh");
}

void sign_through_openssh(const OpensshUse& use) {
  std::optional<Account> account;
  if (use.user) account = account_of(*use.user);
  run_in_child(kDoing, kLimit, [&] { return be_the_user(use, account); });
}

}  // namespace hsmith::tokens
