// What the program and its commands take: declared for the one command that the arguments name.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace CLI {
class App;
}

namespace hsmith::cli {

// Options are declared only for the command that the arguments name: a start costs less so.
struct Named {
  std::string noun;
  std::string verb;
  int noun_at = 0;  // in argv
};

void add_global_options(CLI::App& app, GlobalOptions& o);

// True for an option that takes the word behind it as its value.
bool takes_next_word(const CLI::App& app, const std::string& word);

// The command that the words (argv without the program) name; the global options are declared.
Named named_command(const CLI::App& app, std::vector<std::string> words);

// Declares the noun that is named, its verbs and the command's options; all nouns where none is.
void add_commands(CLI::App& app, Context& context, const Named& named);

}  // namespace hsmith::cli
