// What the worker answers to a case, and what its parts share.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "src/base/bytes.h"
#include "src/base/error.h"

namespace hsmith::conformance {

using Json = nlohmann::json;

// `got` in the words of the case: accept, reject; valid, invalid; weak, good, malformed,
// unsupported. "skipped": hsmith, or the token, does not offer what the case needs.
struct Answer {
  std::string got;
  std::string reason;
};

// The bytes that a field holds in hex; none when it is empty.
inline Bytes bytes_of(const Json& object, const char* field) {
  return parse_hex(object.at(field).get<std::string>()).value_or(Bytes());
}

inline bool is_not_offered(const Error& error) {
  return error.kind() == Kind::unsupported || error.kind() == Kind::usage;
}

// A signature, verified with the public key of its group.
Answer verify_signature(const Json& group, const Json& test);

// A key file, judged as requests and certificates are.
Answer judge_key(const Json& request);

// A URI, parsed, compared part by part, printed and parsed again.
Answer parse_uri_case(const Json& test);

}  // namespace hsmith::conformance
