// Where PINs and passwords come from.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/environment.h"
#include "src/base/secret.h"
#include "tokens/uri.h"

namespace hsmith::tokens {

// What is asked for. It decides the words of messages, and the new ones are asked for twice.
enum class PinRole { user, so, new_user, new_so, password, new_password };

struct PinSource {
  enum class Kind { env, file, fd, command, prompt, pinpad, uri_value };
  Kind kind = Kind::prompt;
  std::string argument;  // the variable, path, descriptor number or command
  std::string origin;    // who named it: "--pin-source", "HSMITH_PIN_SOURCE", a file, ...
  Secret value;          // uri_value only
};

// True where a person types the PIN: prompt and pinpad.
bool is_interactive(const PinSource& source);

// Reads env:NAME, file:PATH, fd:N, cmd:COMMAND, prompt or pinpad. Throws usage; the message does
// not repeat the text, which could be a PIN.
PinSource parse_pin_source(std::string_view text, std::string_view origin);

// The places where a source may be named, in the order in which they count.
struct PinOptions {
  PinRole role = PinRole::user;
  std::optional<std::string> option;       // --pin-source, --so-pin-source, ...
  const Uri* uri = nullptr;                // its pin-source (a file only) or pin-value
  std::optional<std::string> environment;  // HSMITH_PIN_SOURCE, HSMITH_SO_PIN_SOURCE
  bool has_pin_variable = false;           // HSMITH_PIN was set
  std::optional<std::string> configuration;
  bool may_prompt = false;  // neither --json nor --batch; a terminal is looked for here
};

// The source that counts. Throws pin_missing with a hint when there is none.
PinSource choose_pin_source(const PinOptions& options);

// The options of the user's or the security officer's PIN, as environment and URI have them.
PinOptions pin_options(PinRole role, const Environment& environment, const Uri* uri);

struct PinReading {
  PinRole role = PinRole::user;
  std::string prompt_for;  // what the prompt names: "token \"prod\""; may be empty
  std::function<void(std::string)> warn;
  std::chrono::seconds command_limit{30};
};

// The PIN, or nothing when it is to be typed at the token's own pad. Never empty; at most 255
// bytes of UTF-8 without NUL: else pin_invalid with the reason. Throws io when a source cannot be
// read and unsafe_permissions for a file that others may write. Must run before a module is
// loaded: cmd: forks.
std::optional<Secret> read_pin(const PinSource& source, const PinReading& reading,
                               Environment& environment);

}  // namespace hsmith::tokens
