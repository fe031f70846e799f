// How a user names an object on a token: a PKCS#11 URI, id:HEX, label:TEXT or a bare label.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/base/bytes.h"
#include "tokens/uri.h"

namespace hsmith::tokens {

// What is not set matches anything. How many objects match is for the search to find out.
struct Selector {
  std::string text;  // as the user wrote it, for messages; a URI in canonical form, without a PIN
  std::optional<std::string> label;
  std::optional<Bytes> id;
  std::optional<ObjectType> type;
  Uri uri;  // the whole URI when the text was one, else empty: token, slot, PIN source
};

// Throws usage when the text is empty, a malformed URI or malformed hex, and refused for a URI
// that would run or load something (refuse_unsafe).
Selector parse_selector(std::string_view text);

// Where a file or an object may be meant: by an object's prefix (pkcs11:, id:, label:) an object;
// by '/', "file:" or "-" a file; else it could be either, and both must be looked up.
enum class Meaning { file, object, either };
Meaning meaning_of(std::string_view argument);

// The path of an argument that means a file: without a leading "file:".
std::string file_path(std::string_view argument);

// Throws usage with what is wrong when a label could not be named on a command line again: it must
// be 1 to 255 bytes of visible UTF-8, without '@', '/' or a prefix that means something else.
void check_new_label(std::string_view text);

}  // namespace hsmith::tokens
