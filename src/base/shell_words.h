// Commands as a person may paste them into a shell.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hsmith {

// A word for sh: as it is where that is safe, else in single quotes. What a terminal would obey
// comes out as printable() has it; such a word names nothing.
std::string shell_word(std::string_view text);
// The same with every byte as it is, for a file that sh reads.
std::string exact_shell_word(std::string_view text);
// The words with a space between them.
std::string shell_line(const std::vector<std::string>& words);

}  // namespace hsmith
