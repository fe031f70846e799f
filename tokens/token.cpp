#include "tokens/token.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <thread>

#include "pkcs11/error.h"
#include "src/base/error.h"
#include "src/base/lock.h"
#include "src/base/text.h"
#include "tokens/pin_marker.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"
#include "tokens/start.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Access;
using pkcs11::Module;
using pkcs11::TokenInfo;
using std::chrono::milliseconds;

constexpr milliseconds kLockWait{60'000};
constexpr int kTries = 6;

std::string name_of(const TokenInfo& token) { return "token " + quoted(token.label); }

PinRole role_of(Login login) { return login == Login::so ? PinRole::so : PinRole::user; }

struct Found {
  CK_SLOT_ID slot;
  TokenInfo info;
};

// Without a choice, a token must be usable: an empty slot or a read-only list of CAs is not meant.
bool is_usable(const TokenInfo& token) {
  return token.has(CKF_TOKEN_INITIALIZED) && token.has(CKF_LOGIN_REQUIRED) &&
         !token.has(CKF_WRITE_PROTECTED);
}

[[noreturn]] void fail_to_choose(const TokenChoice& choice, const std::vector<Found>& hits,
                                 const std::vector<Found>& present, bool any_token) {
  std::vector<std::string> uris;
  for (const Found& token : hits.empty() ? present : hits) uris.push_back(token_uri(token.info));
  const std::string what =
      choice.text.empty() ? "open the token" : "open the token " + quoted(choice.text);
  if (!hits.empty()) {
    throw Error(Kind::ambiguous, fmt::format("{}: {} tokens match{}", what, hits.size(),
                                             choice.text.empty() ? " and none was chosen" : ""))
        .hint("choose one with --token LABEL, --token serial:… or one of these URIs")
        .candidates(std::move(uris));
  }
  if (!any_token) {
    throw Error(Kind::not_found, what + ": the module shows no token at all")
        .hint(
            "is the card in its reader, and does the module's server or daemon run? see: hsmith "
            "doctor");
  }
  throw Error(Kind::not_found, fmt::format("{}: {}", what,
                                           present.empty() ? "the module has no initialised token"
                                                           : "no token matches"))
      .hint(
          present.empty()
              ? "see slots with: hsmith token list; make a token with: hsmith token init --slot N "
                "--label LABEL"
              : "see tokens with: hsmith token list")
      .candidates(std::move(uris));
}

Found find_token(const Module& module, const TokenChoice& choice) {
  std::vector<Found> hits;
  std::vector<Found> present;
  std::optional<Error> broken;
  const std::string doing = "look at the tokens of the module " + quoted(module.path());
  const auto slots = while_doing(doing, [&] { return module.slots(CK_TRUE); });
  for (const CK_SLOT_ID slot : slots) {
    try {
      const TokenInfo info = module.token_info(slot);
      if (info.has(CKF_TOKEN_INITIALIZED)) present.push_back({slot, info});
      const bool hit = choice.text.empty() ? is_usable(info) : matches(choice, info, slot);
      if (hit) hits.push_back({slot, info});
    } catch (const Error& error) {
      broken = error;  // one bad slot must not hide the others
    }
  }
  if (hits.size() == 1) return hits.front();
  if (hits.empty() && broken) throw broken->during(doing);
  fail_to_choose(choice, hits, present, !slots.empty());
}

void warn_of_slot_number(const Reach& reach) {
  if (reach.token.slot && reach.warn) {
    reach.warn("slot ids move between runs; name the token by its label or serial number");
  }
}

// How a locked PIN is opened again.
std::string unblocking(const TokenInfo& token, Login login) {
  const bool own_way = !token_quirks(token).unblocks_pin.empty();
  if (own_way) return unblock_hint(token);
  if (login == Login::so)
    return "no PIN opens the token any more; only the vendor's reset, which wipes it";
  return "the security officer can set a new one with: " + unblock_command(token);
}

// Where the PIN came from: the file, whichever option named it, or who named the source.
std::string origin_of(const PinSource& source) {
  return source.kind == PinSource::Kind::file ? "the file " + quoted(source.argument)
                                              : source.origin;
}

// What a wrong PIN did to the token, from its flags. That it does not tell them does not hide that
// the PIN is wrong.
std::string what_a_wrong_pin_did(const OpenToken& token, Login login, const PinSource& source) {
  const bool so = login == Login::so;
  TokenInfo now;
  try {
    now = token.module->token_info(token.slot);
  } catch (const Error& error) {
    return fmt::format("the PIN came from {}; what is left of it is not known: {}",
                       origin_of(source), error.what());
  }
  if (now.has(so ? CKF_SO_PIN_LOCKED : CKF_USER_PIN_LOCKED)) {
    return "that was the last try, the PIN is locked now: " + unblocking(now, login);
  }
  if (now.has(so ? CKF_SO_PIN_FINAL_TRY : CKF_USER_PIN_FINAL_TRY)) {
    return "one try is left before the PIN locks";
  }
  return "the PIN came from " + origin_of(source) +
         "; see the token's state with: hsmith token info";
}

// A lock for each module and, as SoftHSM's tokens depend on it, each of its configurations, however
// their paths are spelled.
std::string module_lock_name(const std::string& module_path) {
  std::error_code ignored;  // a path that leads nowhere is its own name
  const std::string name =
      std::filesystem::weakly_canonical(module_path, ignored).string() + '\n' +
      std::filesystem::weakly_canonical(variable("SOFTHSM2_CONF").value_or(""), ignored).string();
  return fmt::format("module-{:016x}", std::hash<std::string>{}(name));
}

// What a token looks like while a program without our lock rewrites its file: not there, without
// label and serial number, or without a PIN. Of what is more likely so in truth a second look is
// enough.
bool may_be_rewritten(const Error& error, int attempt) {
  if (is_busy_code(error.ckr())) return true;
  if (error.kind() == Kind::pin_not_initialized) return attempt <= 2;
  if (error.kind() != Kind::not_found) return false;
  const auto& seen = error.candidates();
  const bool empty = std::find(seen.begin(), seen.end(), token_uri({})) != seen.end();
  return seen.empty() || empty || attempt <= 2;
}

// One whole start: module, token, session, login.
OpenToken start_once(const Reach& reach, Access access, Login login, const PinSource* source,
                     std::optional<Secret>& pin, bool pin_is_read) {
  OpenToken token;
  token.module = start_module(reach);
  Found found = find_token(*token.module, reach.token);
  token.slot = found.slot;
  token.info = std::move(found.info);
  if (!token.info.has(CKF_TOKEN_INITIALIZED)) {
    throw Error(Kind::not_found,
                fmt::format("open the {}: it is not initialised", name_of(token.info)))
        .hint(fmt::format("initialise it with: hsmith token init --slot {} --label LABEL",
                          found.slot));
  }
  if (access == Access::read_write && token.info.has(CKF_WRITE_PROTECTED)) {
    throw Error(Kind::unsupported,
                fmt::format("change the {}: it is write-protected", name_of(token.info)));
  }
  if (login != Login::none) check_login_flags(token.info, login, reach.use_last_try);
  try {
    token.session = pkcs11::Session::open(token.module, token.slot, access);
  } catch (const Error& error) {
    throw error.during("open a session on the " + name_of(token.info));
  }
  if (login == Login::none) return token;
  if (!pin_is_read && !token.info.has(CKF_PROTECTED_AUTHENTICATION_PATH)) {
    pin = read_pin(*source,
                   {.role = role_of(login), .prompt_for = name_of(token.info), .warn = reach.warn},
                   *reach.environment);
  }
  log_in(reach, token, login, *source, pin);
  token.login = login;
  return token;
}

// The PIN stays in memory for keys that want their own login before each operation.
void keep_pin(OpenToken& token, std::optional<Secret> pin) {
  const auto kept = std::make_shared<Secret>(pin ? std::move(*pin) : Secret());
  // Never with the security officer's PIN: the token would count a wrong try of the user's.
  if (token.login == Login::user) {
    token.authenticate = [session = token.session, kept] {
      pkcs11::check(session->login(CKU_CONTEXT_SPECIFIC, kept->reveal()), "C_Login");
    };
  }
  token.change_pin = [session = token.session, kept](const Secret& new_pin) {
    session->set_pin(kept->reveal(), new_pin.reveal());
  };
}

// The same, one process at a time, and tried again while another program rewrites the token.
OpenToken start(const Reach& reach, Access access, Login login, const PinSource* source,
                std::optional<Secret>& pin, bool pin_is_read) {
  const std::shared_ptr<void> lock = lock_module(reach.module_path, reach.lock_folder);
  const bool rewrites = module_quirks(reach.module_path).rewrites_at_login;
  for (int attempt = 1;; ++attempt) {
    try {
      OpenToken token = start_once(reach, access, login, source, pin, pin_is_read);
      if (login != Login::none) keep_pin(token, std::move(pin));
      return token;
    } catch (const Error& error) {
      if (!rewrites || !may_be_rewritten(error, attempt) || attempt == kTries) throw;
      std::this_thread::sleep_for(milliseconds(10 << attempt));
    }
  }
}

}  // namespace

TokenChoice parse_token_choice(const std::string& text) {
  if (is_uri(text)) {
    const Uri uri = parse_uri(text);
    refuse_unsafe(uri);
    return choice_of(uri);
  }
  TokenChoice choice;
  choice.text = text;
  if (text.starts_with("serial:")) {
    choice.serial = text.substr(7);
  } else {
    choice.label = text;
  }
  return choice;
}

TokenChoice choice_of(const Uri& uri) {
  TokenChoice choice;
  choice.label = uri.token;
  choice.serial = uri.serial;
  choice.manufacturer = uri.manufacturer;
  choice.model = uri.model;
  if (uri.slot_id) choice.slot = *uri.slot_id;
  const bool chosen =
      choice.label || choice.serial || choice.manufacturer || choice.model || choice.slot;
  if (!chosen) return choice;
  Uri shown;
  shown.token = uri.token;
  shown.serial = uri.serial;
  shown.manufacturer = uri.manufacturer;
  shown.model = uri.model;
  shown.slot_id = uri.slot_id;
  choice.text = format(shown);
  return choice;
}

bool matches(const TokenChoice& choice, const TokenInfo& token, CK_SLOT_ID slot) {
  const auto fits = [](const std::optional<std::string>& wanted, const std::string& is) {
    return !wanted || *wanted == is;
  };
  return fits(choice.label, token.label) && fits(choice.serial, token.serial) &&
         fits(choice.manufacturer, token.manufacturer) && fits(choice.model, token.model) &&
         (!choice.slot || *choice.slot == slot);
}

std::string token_uri(const TokenInfo& token) {
  Uri uri;
  uri.token = token.label;
  uri.serial = token.serial;
  return format(uri);
}

std::shared_ptr<Module> start_module(const Reach& reach) {
  return Module::load({reach.module_path, reach.module_init, reach.trace});
}

std::shared_ptr<void> lock_module(const std::string& module_path,
                                  const std::filesystem::path& lock_folder) {
  if (!module_quirks(module_path).rewrites_at_login) return nullptr;
  return std::make_shared<FileLock>(
      FileLock::acquire(lock_folder / module_lock_name(module_path), kLockWait));
}

std::shared_ptr<void> lock_token(const Reach& reach, const TokenInfo& token) {
  const std::string name =
      "token-" + hex(as_bytes(token.manufacturer + "/" + token.serial)).substr(0, 120);
  return std::make_shared<FileLock>(FileLock::acquire(reach.lock_folder / name, kLockWait));
}

void check_login_flags(const TokenInfo& token, Login login, bool use_last_try) {
  const bool so = login == Login::so;
  const std::string doing = fmt::format("log in to the {}", name_of(token));
  if (!so && !token.has(CKF_USER_PIN_INITIALIZED)) {
    throw Error(Kind::pin_not_initialized, doing + ": the user PIN is not set")
        .hint("the security officer sets it with: " + unblock_command(token));
  }
  if (token.has(so ? CKF_SO_PIN_LOCKED : CKF_USER_PIN_LOCKED)) {
    throw Error(Kind::pin_locked,
                fmt::format("{}: the {} is locked; it was not tried", doing, so ? "SO PIN" : "PIN"))
        .hint(unblocking(token, login));
  }
  if (token.has(so ? CKF_SO_PIN_FINAL_TRY : CKF_USER_PIN_FINAL_TRY) && !use_last_try) {
    throw Error(Kind::pin_last_try,
                fmt::format("{}: one try is left before the {} locks; it was not used", doing,
                            so ? "SO PIN" : "PIN"))
        .hint("when you are sure of the PIN, add --use-last-try");
  }
}

void log_in(const Reach& reach, const OpenToken& token, Login login, const PinSource& source,
            const std::optional<Secret>& pin) {
  const PinRole role = role_of(login);
  const bool keypad = token.info.has(CKF_PROTECTED_AUTHENTICATION_PATH);
  if (source.kind == PinSource::Kind::pinpad && !keypad) {
    throw Error(Kind::usage,
                fmt::format("log in to the {}: it has no PIN pad of its own", name_of(token.info)));
  }
  if (reach.retry_pin) forget_failed_pin(reach.state_folder, token.info.serial, role);
  if (!is_interactive(source) && !keypad) {
    refuse_after_failed_pin(reach.state_folder, token.info.serial, role);
    check_failed_pin_can_be_noted(reach.state_folder, token.info.serial, role);
  }
  if (keypad && reach.warn) reach.warn("type the PIN at the token's own pad");
  const ByteView bytes = pin && !keypad ? pin->reveal() : ByteView{};
  if (reach.before_login) reach.before_login(token.info, login == Login::so ? CKU_SO : CKU_USER);
  const CK_RV rv = token.session->login(login == Login::so ? CKU_SO : CKU_USER, bytes);
  if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) {
    if (is_interactive(source)) forget_failed_pin(reach.state_folder, token.info.serial, role);
    return;
  }
  const std::string doing = "log in to the " + name_of(token.info);
  if (rv == CKR_USER_TYPE_INVALID) {  // elsewhere it says that the user may not do something
    throw Error(Kind::login_failed,
                doing + ": the token has no such user (CKR_USER_TYPE_INVALID from C_Login)")
        .ckr("CKR_USER_TYPE_INVALID");
  }
  Error error = pkcs11::error_of(rv, "C_Login").during(doing);
  if (rv == CKR_PIN_LOCKED) throw std::move(error).hint(unblocking(token.info, login));
  if (rv != CKR_PIN_INCORRECT) throw error;
  std::string not_noted;
  if (!is_interactive(source)) {
    not_noted = note_failed_pin(reach.state_folder, token.info.serial, role);
    if (!not_noted.empty()) not_noted.insert(0, "; ");
  }
  throw std::move(error).hint(what_a_wrong_pin_did(token, login, source) + not_noted);
}

OpenToken open_token(const Reach& reach, Access access, Login login,
                     const PinOptions& pin_options) {
  return open_token(reach, access, login, pin_options, {});
}

OpenToken open_token(
    const Reach& reach, Access access, Login login, const PinOptions& pin_options,
    const std::function<void(const std::function<OpenToken()>& open)>& before_start) {
  warn_of_slot_number(reach);
  std::optional<PinSource> source;
  std::optional<Secret> pin;
  bool pin_is_read = false;
  if (login != Login::none) {
    source = choose_pin_source(pin_options);
    // Before the module is loaded (a command forks) and before the lock (a person takes long).
    pin_is_read = module_quirks(reach.module_path).rewrites_at_login || !is_interactive(*source);
    if (pin_is_read) {
      const std::string prompt_for =
          reach.token.text.empty() ? "the token" : "token " + quoted(reach.token.text);
      pin =
          read_pin(*source, {.role = role_of(login), .prompt_for = prompt_for, .warn = reach.warn},
                   *reach.environment);
    }
  }
  const auto open = [&] {
    return start(reach, access, login, source ? &*source : nullptr, pin, pin_is_read);
  };
  if (pin_is_read && before_start) before_start(open);
  return open();
}

}  // namespace hsmith::tokens
