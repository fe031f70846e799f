// Members of a JSON file that somebody else wrote.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "src/base/bytes.h"

namespace hsmith::tokens {

// One member after the other; what is missing, of another type or too long is malformed.
class Members {
 public:
  using Json = nlohmann::ordered_json;

  // Of an object, which is borrowed. `where` begins the messages.
  Members(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}
  [[noreturn]] void refuse(const std::string& why) const;

  const Json& member(const char* name) const;
  std::string text(const char* name, std::size_t longest = 255) const;
  // Lower-case hex.
  Bytes id(const char* name) const;
  // Base64 of 1 to `longest` bytes; `name` is what a message calls it.
  Bytes bytes(const Json& value, const char* name, std::size_t longest) const;
  const Json& list(const char* name, std::size_t most) const;
  Members object(const char* name) const;

 private:
  const Json& json_;
  std::string where_;
};

}  // namespace hsmith::tokens
