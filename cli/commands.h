// The list of commands. Each is in commands/<noun>_<verb>.cpp.
#pragma once

#include <span>

#include "cli/arguments.h"
#include "cli/context.h"

namespace hsmith::cli {

struct Command {
  const char* noun;
  const char* verb;  // nullptr: the noun is the command
  const char* about;
  // Declares options and examples, and sets context.run when the command is chosen.
  void (*add)(Arguments& command, Context& context);
};

struct Noun {
  const char* name;
  const char* about;
};

std::span<const Command> commands();
std::span<const Noun> nouns();

}  // namespace hsmith::cli
