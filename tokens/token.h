// A token that is open: its module, its session, and who is logged in.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "pkcs11/session.h"
#include "src/base/environment.h"
#include "tokens/pin.h"
#include "tokens/uri.h"

namespace hsmith::tokens {

// Which token is meant. What is not set matches any; nothing set means the one token that is
// initialised, wants a login and is not write-protected.
struct TokenChoice {
  std::optional<std::string> label;
  std::optional<std::string> serial;
  std::optional<std::string> manufacturer;
  std::optional<std::string> model;
  std::optional<CK_SLOT_ID> slot;
  std::string text;  // as the user wrote it, for messages; empty: nothing was chosen
};

// "label", "serial:…" or a URI.
TokenChoice parse_token_choice(const std::string& text);
TokenChoice choice_of(const Uri& uri);
bool matches(const TokenChoice& choice, const pkcs11::TokenInfo& token, CK_SLOT_ID slot);
// The token as hsmith prints and accepts it: pkcs11:token=…;serial=…
std::string token_uri(const pkcs11::TokenInfo& token);

// What a command needs to reach a token: made from options, environment and configuration.
struct Reach {
  std::string module_path;
  std::string module_init;
  TokenChoice token;
  std::shared_ptr<pkcs11::Trace> trace;
  std::filesystem::path state_folder;
  std::filesystem::path lock_folder;
  bool use_last_try = false;
  bool retry_pin = false;
  std::function<void(std::string)> warn;
  // Called with the token before a login is tried; what it throws prevents the login.
  std::function<void(const pkcs11::TokenInfo&, CK_USER_TYPE)> before_login;
  Environment* environment = nullptr;
};

enum class Login { none, user, so };

struct OpenToken {
  std::shared_ptr<pkcs11::Module> module;
  CK_SLOT_ID slot = 0;
  pkcs11::TokenInfo info;
  std::shared_ptr<pkcs11::Session> session;
  Login login = Login::none;
  // Logs the user in for one operation of a key with CKA_ALWAYS_AUTHENTICATE; called between
  // C_SignInit and C_Sign.
  std::function<void()> authenticate;
  // Replaces the PIN that was logged in with by another (C_SetPIN).
  std::function<void(const Secret& new_pin)> change_pin;
};

// Finds exactly the one token that is meant, reads its flags, opens a session and logs in once:
// PIN obtained first (it may be a command), then the module started, under a lock where the module
// needs one (quirks.h). A locked PIN is reported without trying, the last try is refused, a PIN
// that failed before is not sent again. Throws not_found or ambiguous with the tokens' URIs.
OpenToken open_token(const Reach& reach, pkcs11::Access access, Login login,
                     const PinOptions& pin_options);

// The module alone, for commands that initialise tokens; and the lock that its start may need.
std::shared_ptr<pkcs11::Module> start_module(const Reach& reach);
std::shared_ptr<void> lock_module(const std::string& module_path,
                                  const std::filesystem::path& lock_folder);

// The lock around changes of one token: held from before the first to after the last change.
std::shared_ptr<void> lock_token(const Reach& reach, const pkcs11::TokenInfo& token);

// Throws what the token's flags already say of a login: PIN not set, locked, last try.
void check_login_flags(const pkcs11::TokenInfo& token, Login login, bool use_last_try);

// Sends one PIN, once. Reads a wrong PIN's consequences from the flags for the message, and keeps
// the marker of a PIN that failed (pin_marker.h).
void log_in(const Reach& reach, const OpenToken& token, Login login, const PinSource& source,
            const std::optional<Secret>& pin);

}  // namespace hsmith::tokens
