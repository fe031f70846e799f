#include "tests/support/fault_module/words.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace hsmith::fault {
namespace {

constexpr std::string_view kBlank = " \t\r";

// The character after a backslash; `at` stands on it and is left on its last character.
char unescape(std::string_view line, std::size_t& at) {
  switch (line[at]) {
    case 'n':
      return '\n';
    case '"':
    case '\\':
      return line[at];
    case 'x': {
      const std::string_view digits = line.substr(at + 1, 2);
      unsigned char byte = 0;
      const char* end = digits.data() + digits.size();
      if (digits.size() != 2 || std::from_chars(digits.data(), end, byte, 16).ptr != end) {
        throw std::invalid_argument("\\x needs two hexadecimal digits");
      }
      at += 2;
      return static_cast<char>(byte);
    }
    default:
      throw std::invalid_argument(std::string("unknown escape \\") + line[at]);
  }
}

// `at` stands on the opening quote and is left behind the closing one.
Word quoted_word(std::string_view line, std::size_t& at) {
  Word word{.text = {}, .quoted = true};
  for (++at; at < line.size(); ++at) {
    if (line[at] == '"') {
      ++at;
      return word;
    }
    if (line[at] == '\\' && at + 1 < line.size()) {
      word.text += unescape(line, ++at);
    } else {
      word.text += line[at];
    }
  }
  throw std::invalid_argument("a quoted text does not end");
}

std::vector<Word> words_of(std::string_view line) {
  std::vector<Word> words;
  std::size_t at = 0;
  while ((at = line.find_first_not_of(kBlank, at)) != std::string_view::npos && line[at] != '#') {
    if (line[at] == '"') {
      words.push_back(quoted_word(line, at));
      continue;
    }
    const std::size_t end = line.find_first_of(kBlank, at);
    words.push_back({.text = std::string(line.substr(at, end - at)), .quoted = false});
    at = end;
  }
  return words;
}

// Where the rule that starts at `at` ends: at the next separator that is in no quoted text.
std::size_t end_of_rule(std::string_view script, std::string_view separators, std::size_t at) {
  bool in_quotes = false;
  bool in_comment = false;
  for (; at < script.size(); ++at) {
    const char c = script[at];
    if (c == '\n' || (!in_quotes && separators.find(c) != std::string_view::npos)) return at;
    if (in_comment) continue;
    if (c == '\\' && in_quotes) {
      ++at;
    } else if (c == '"') {
      in_quotes = !in_quotes;
    } else if (c == '#' && !in_quotes) {
      in_comment = true;
    }
  }
  return script.size();
}

}  // namespace

std::vector<Line> split_script(std::string_view script, std::string_view separators) {
  std::vector<Line> lines;
  std::size_t number = 1;
  for (std::size_t at = 0; at < script.size(); ++number) {
    const std::size_t end = end_of_rule(script, separators, at);
    std::string_view text = script.substr(at, end - at);
    text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
    try {
      Line line{.number = number, .text = std::string(text), .words = words_of(text)};
      if (!line.words.empty()) lines.push_back(std::move(line));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("line " + std::to_string(number) + ": " + error.what());
    }
    at = end + 1;
  }
  return lines;
}

}  // namespace hsmith::fault
