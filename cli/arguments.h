// What a command takes, declared to CLI11. The commands do not read CLI11's header, which costs
// each file that does seconds of compiling: only arguments.cpp does, and the frame around them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace hsmith::cli {

// An option, or an argument without a name, that was declared.
class Argument {
  friend class Arguments;

 public:
  explicit Argument(CLI::Option* option) : option_(option) {}
  Argument& required();
  // Any of these words and no other; completion offers them.
  Argument& one_of(std::vector<std::string> words);
  Argument& within(int least, int most);
  // Of a list: one value each time that the option is given.
  Argument& one_each();
  Argument& excludes(const Argument& other);
  Argument& needs(const Argument& other);
  // What it is where nothing is given.
  Argument& preset(const std::string& value);
  // Not in the help.
  Argument& hidden();

 private:
  CLI::Option* option_;
};

class Arguments {
 public:
  explicit Arguments(CLI::App* app) : app_(app) {}

  // `names` as "-o,--output", or "FILE" for an argument by its place. What is given is written to
  // `value`, which outlives the parsing.
  Argument add_option(const std::string& names, std::string& value, const std::string& about);
  Argument add_option(const std::string& names, std::optional<std::string>& value,
                      const std::string& about);
  Argument add_option(const std::string& names, std::vector<std::string>& value,
                      const std::string& about);
  Argument add_option(const std::string& names, int& value, const std::string& about);
  Argument add_option(const std::string& names, unsigned& value, const std::string& about);
  Argument add_option(const std::string& names, std::optional<int>& value,
                      const std::string& about);
  Argument add_flag(const std::string& names, bool& value, const std::string& about);
  // One that was declared already.
  Argument option(const std::string& name);
  // Exactly one of these must be given.
  void require_one_of(const std::string& group, const std::vector<Argument>& flags);
  // What ends the help: two examples.
  void footer(const std::string& text);
  // Called when the command is the one that was chosen, before anything is done.
  void callback(std::function<void()> chosen);
  // A verb below this command, which is then of no use without one.
  Arguments add_verb(const std::string& name, const std::string& about);

 private:
  CLI::App* app_;
};

}  // namespace hsmith::cli
