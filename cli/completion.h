// What may stand where the cursor is in a command line of hsmith.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace hsmith::cli {

struct Suggestion {
  std::string word;
  std::string about;  // one line, may be empty
};

// Stands for the names of files, which the shell knows better.
inline constexpr char kFiles[] = "@files";

// Suggestions for the last word, which may be empty, of a command line without the program's name.
// Names of tokens, keys and certificates are those that are visible without a login; modules have
// less than a second to tell them. Never asks, never logs in; errors are no suggestions. The
// context takes over the global options among the words.
std::vector<Suggestion> complete(const std::vector<std::string>& words, Context& context);

// The script that makes a shell ask `hsmith completion words`: bash, zsh or fish.
std::string completion_script(const std::string& shell);

}  // namespace hsmith::cli
