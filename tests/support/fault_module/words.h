// A script cut into rules, and a rule into words.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hsmith::fault {

struct Word {
  std::string text;     // without its quotes, its escapes resolved
  bool quoted = false;  // "..." in the script
};

struct Line {
  std::size_t number = 0;
  std::string text;
  std::vector<Word> words;
};

// The rules of a script that have words: `separators` end a rule, '#' starts a comment, double
// quotes hold both together; in them \n, \", \\ and \xNN are understood. Throws
// std::invalid_argument with "line N: ...".
std::vector<Line> split_script(std::string_view script, std::string_view separators);

}  // namespace hsmith::fault
