// JSON that somebody else may have written.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace hsmith {

// The value that the text is. Throws nlohmann::json::exception when it is none, or its brackets
// nest more than 100 deep: to copy or print such a value takes as much of the stack.
nlohmann::ordered_json parse_json(std::string_view text);

// True for what parse_json takes; nothing is built.
bool is_json(std::string_view text);

}  // namespace hsmith
