// Text as people read and write it: escaping, suggestions, times.
#pragma once

#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hsmith {

// Untrusted text made safe for a terminal and for one line: control characters, bidirectional and
// zero-width characters, and bytes that are not UTF-8 come out as \xNN or \u{NNNN}; a backslash as
// \\. Longer than `limit` bytes is cut, with a count of what is missing.
std::string printable(std::string_view text, std::size_t limit = 1024);

// The same in double quotes. The overloads for strings are there because std::quoted, found through
// its arguments, would be the nearer match.
std::string quoted(std::string_view text);
inline std::string quoted(const std::string& text) { return quoted(std::string_view(text)); }
inline std::string quoted(std::string& text) { return quoted(std::string_view(text)); }

// True for well-formed UTF-8 (RFC 3629).
bool is_utf8(std::string_view text);

// The candidate nearest to `word`, when one is near enough to be a slip of the keys.
std::optional<std::string> did_you_mean(std::string_view word, std::span<const std::string> among);

// Splits at every separator; empty parts are kept, the empty text gives no part.
std::vector<std::string> split(std::string_view text, char separator);

std::string_view trim(std::string_view text);
std::string lower(std::string_view text);  // ASCII only

// A file's name for any text: ASCII letters, digits and '-' stay, every other byte becomes _XX. Two
// texts never get the same name.
std::string file_name_for(std::string_view text);

// RFC 3339 in UTC: "2026-03-15T00:00:00Z".
std::string rfc3339(std::time_t time);
// RFC 3339 with Z or an offset, or a date alone (midnight UTC).
std::optional<std::time_t> parse_time(std::string_view text);

}  // namespace hsmith
