#include "tokens/pin.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "tokens/pin_command.h"
#include "tokens/pin_line.h"
#include "tokens/pin_prompt.h"

namespace hsmith::tokens {
namespace {

struct Words {
  const char* noun;
  const char* title;  // at the start of a prompt
  const char* option;
  const char* source_variable;    // nullptr: none
  const char* configuration_key;  // nullptr: none
};

const Words& words_of(PinRole role) {
  static constexpr std::array kWords{
      Words{"PIN", "PIN", "--pin-source", "HSMITH_PIN_SOURCE", "pin_source"},
      Words{"SO PIN", "SO PIN", "--so-pin-source", "HSMITH_SO_PIN_SOURCE", "so_pin_source"},
      Words{"new PIN", "New PIN", "--new-pin-source", nullptr, nullptr},
      Words{"new SO PIN", "New SO PIN", "--new-so-pin-source", nullptr, nullptr},
      Words{"password", "Password", "--password-source", nullptr, nullptr},
      Words{"new password", "New password", "--out-password-source", nullptr, nullptr},
  };
  return kWords[static_cast<std::size_t>(role)];
}

bool is_new(PinRole role) {
  return role == PinRole::new_user || role == PinRole::new_so || role == PinRole::new_password;
}

[[noreturn]] void fail_unreadable(const std::string& doing, int error) {
  throw Error(Kind::io, fmt::format("{}: {}", doing, std::strerror(error)));
}

// Byte by byte: what follows the line stays in a descriptor for the next source that names it.
Secret read_line(int fd, const std::string& doing) {
  PinLine line;
  unsigned char byte = 0;
  while (!line.complete()) {
    const ssize_t got = read(fd, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_unreadable(doing, errno);
    if (got == 0) break;
    line.take(ByteView(&byte, 1));
  }
  wipe(&byte, 1);
  return line.finish();
}

Secret from_file(const std::string& path, const std::string& doing, const PinReading& reading) {
  // Opened without blocking, so that a FIFO that nobody writes to is empty instead of waited for.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (file.get() < 0 || fcntl(file.get(), F_SETFL, 0) != 0 || fstat(file.get(), &status) != 0) {
    fail_unreadable(doing, errno);
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw Error(Kind::unsafe_permissions, doing + ": others may write to it")
        .hint("chmod go= " + shell_word(path));
  }
  if ((status.st_mode & (S_IRGRP | S_IROTH)) != 0 && reading.warn) {
    reading.warn(fmt::format("others can read the {} in {}: chmod go= {}",
                             words_of(reading.role).noun, quoted(path), shell_word(path)));
  }
  return read_line(file.get(), doing);
}

Secret from_variable(const std::string& name, const std::string& doing, Environment& environment) {
  auto value = secret_variable(environment, name);
  if (!value) throw Error(Kind::pin_missing, doing + ": it is not set");
  return std::move(*value);
}

Secret from_descriptor(const std::string& number, const std::string& doing) {
  const int fd = std::stoi(number);  // checked when it was parsed
  // A program that is started later must not find the rest of it.
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) fail_unreadable(doing, errno);
  return read_line(fd, doing);
}

Secret from_prompt(const PinReading& reading) {
  const Words& words = words_of(reading.role);
  const std::string of = reading.prompt_for.empty() ? "" : " for " + reading.prompt_for;
  Secret first = prompt_secret(fmt::format("{}{}: ", words.title, of));
  if (!is_new(reading.role)) return first;
  const Secret second = prompt_secret(fmt::format("{}{}, once more: ", words.title, of));
  if (!equal(first.reveal(), second.reveal())) {
    throw Error(Kind::pin_invalid,
                fmt::format("ask for the {}: the two that were typed differ", words.noun));
  }
  return first;
}

// "read the PIN from file "x""; a command is not repeated, it may hold the PIN.
std::string doing_of(const PinSource& source, PinRole role) {
  const char* noun = words_of(role).noun;
  switch (source.kind) {
    case PinSource::Kind::env:
      return fmt::format("read the {} from the variable {}", noun, quoted(source.argument));
    case PinSource::Kind::file:
      return fmt::format("read the {} from {}", noun, quoted(source.argument));
    case PinSource::Kind::fd:
      return fmt::format("read the {} from descriptor {}", noun, source.argument);
    case PinSource::Kind::command:
      return fmt::format("read the {} from the command of {}", noun, source.origin);
    case PinSource::Kind::uri_value:
      return fmt::format("read the {} from the URI", noun);
    case PinSource::Kind::prompt:
    case PinSource::Kind::pinpad:
      break;
  }
  return fmt::format("ask for the {}", noun);
}

void check_pin(const Secret& pin, const std::string& doing) {
  const std::string_view text = as_text(pin.reveal());
  const auto refuse = [&doing](const std::string& cause) {
    return Error(Kind::pin_invalid, fmt::format("{}: {}", doing, cause));
  };
  if (text.empty()) throw refuse("it is empty");
  if (text.size() > kPinLimit) throw refuse(fmt::format("it is longer than {} bytes", kPinLimit));
  if (text.find('\0') != std::string_view::npos) throw refuse("it holds a NUL byte");
  if (!is_utf8(text)) throw refuse("it is not UTF-8");
}

bool is_descriptor_number(const std::string& text) {
  int number = -1;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end && number >= 0;
}

bool is_valid_argument(PinSource::Kind kind, const std::string& argument) {
  if (argument.empty() || argument.find('\0') != std::string::npos) return false;
  if (kind == PinSource::Kind::fd) return is_descriptor_number(argument);
  return kind != PinSource::Kind::env || argument.find('=') == std::string::npos;
}

PinSource source_of_uri(const Uri& uri) {
  if (uri.pin_value) {
    return {PinSource::Kind::uri_value, "", "the URI's pin-value", Secret(uri.pin_value->reveal())};
  }
  refuse_unsafe(uri);
  std::string path = *uri.pin_source;
  if (lower(path).starts_with("file:")) path.erase(0, std::strlen("file:"));
  if (path.empty()) throw Error(Kind::usage, "read the URI's pin-source: it is empty");
  return {PinSource::Kind::file, std::move(path), "the URI's pin-source", {}};
}

[[noreturn]] void fail_without_source(PinRole role) {
  const Words& words = words_of(role);
  std::string hint = fmt::format(
      "give {} file:PATH, env:NAME or cmd:COMMAND, or run it at a terminal", words.option);
  if (words.source_variable != nullptr) hint += fmt::format("; or set {}", words.source_variable);
  if (role == PinRole::user) hint += " or HSMITH_PIN";
  throw Error(Kind::pin_missing, fmt::format("find the {}: no source was given, and there is "
                                             "nobody to ask",
                                             words.noun))
      .hint(hint);
}

}  // namespace

bool is_interactive(const PinSource& source) {
  return source.kind == PinSource::Kind::prompt || source.kind == PinSource::Kind::pinpad;
}

PinSource parse_pin_source(std::string_view text, std::string_view origin) {
  static constexpr std::array kPrefixes{
      std::pair{std::string_view("env:"), PinSource::Kind::env},
      std::pair{std::string_view("file:"), PinSource::Kind::file},
      std::pair{std::string_view("fd:"), PinSource::Kind::fd},
      std::pair{std::string_view("cmd:"), PinSource::Kind::command},
  };
  if (text == "prompt") return {PinSource::Kind::prompt, "", std::string(origin), {}};
  if (text == "pinpad") return {PinSource::Kind::pinpad, "", std::string(origin), {}};
  for (const auto& [prefix, kind] : kPrefixes) {
    if (!text.starts_with(prefix)) continue;
    std::string argument(text.substr(prefix.size()));
    if (is_valid_argument(kind, argument))
      return {kind, std::move(argument), std::string(origin), {}};
    throw Error(Kind::usage, fmt::format("read {}: what follows {} is not usable", origin, prefix));
  }
  throw Error(Kind::usage,
              fmt::format("read {}: it is none of file:PATH, env:NAME, fd:N, cmd:COMMAND, prompt "
                          "and pinpad",
                          origin))
      .hint("put the PIN into a file that only you can read, and name it with file:PATH");
}

PinOptions pin_options(PinRole role, const Environment& environment, const Uri* uri) {
  const Words& words = words_of(role);
  PinOptions options;
  options.role = role;
  options.uri = uri;
  if (words.source_variable != nullptr) options.environment = variable(words.source_variable);
  options.has_pin_variable = role == PinRole::user && environment.secrets.contains("HSMITH_PIN");
  return options;
}

PinSource choose_pin_source(const PinOptions& options) {
  const Words& words = words_of(options.role);
  if (options.option) return parse_pin_source(*options.option, words.option);
  if (options.uri != nullptr && (options.uri->pin_source || options.uri->pin_value)) {
    return source_of_uri(*options.uri);
  }
  if (options.environment) return parse_pin_source(*options.environment, words.source_variable);
  if (options.has_pin_variable) return {PinSource::Kind::env, "HSMITH_PIN", "HSMITH_PIN", {}};
  if (options.configuration) {
    return parse_pin_source(*options.configuration,
                            fmt::format("{} of the configuration", words.configuration_key));
  }
  if (options.may_prompt && has_terminal()) return {PinSource::Kind::prompt, "", "terminal", {}};
  fail_without_source(options.role);
}

std::optional<Secret> read_pin(const PinSource& source, const PinReading& reading,
                               Environment& environment) {
  const std::string doing = doing_of(source, reading.role);
  Secret pin;
  switch (source.kind) {
    case PinSource::Kind::pinpad:
      return std::nullopt;
    case PinSource::Kind::prompt:
      pin = from_prompt(reading);
      break;
    case PinSource::Kind::env:
      pin = from_variable(source.argument, doing, environment);
      break;
    case PinSource::Kind::file:
      pin = from_file(source.argument, doing, reading);
      break;
    case PinSource::Kind::fd:
      pin = from_descriptor(source.argument, doing);
      break;
    case PinSource::Kind::command:
      pin = first_line_of_command(source.argument, reading.command_limit);
      break;
    case PinSource::Kind::uri_value:
      if (reading.warn) {
        reading.warn(
            fmt::format("the {} stands in the URI, where other users of this machine can "
                        "read it",
                        words_of(reading.role).noun));
      }
      pin = Secret(source.value.reveal());
      break;
  }
  check_pin(pin, doing);
  return pin;
}

}  // namespace hsmith::tokens
