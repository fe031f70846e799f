#include "src/base/shell_words.h"

#include <algorithm>

#include "src/base/text.h"

namespace hsmith {

std::string exact_shell_word(std::string_view text) {
  constexpr std::string_view kSafe =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./,:=@%+";
  if (!text.empty() && text.find_first_not_of(kSafe) == std::string_view::npos) {
    return std::string(text);
  }
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string shell_word(std::string_view text) {
  const std::string shown = printable(text, std::string::npos);
  // A backslash, which printable() doubles, is safe in single quotes.
  const auto backslashes = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\\'));
  return exact_shell_word(shown.size() == text.size() + backslashes ? text : shown);
}

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + shell_word(word);
  return line;
}

}  // namespace hsmith
