// What a file is, for the messages that refuse it.
#pragma once

#include <string>
#include <string_view>

#include "src/base/bytes.h"

namespace hsmith::x509 {

// What PEM of a label, DER, or any file is: "a certificate request", "a private key", "a PKCS#12
// file", "an HTML page"; "nothing that hsmith knows".
std::string kind_of_pem(std::string_view label);
std::string kind_of_der(ByteView der);
std::string kind_of(ByteView content);

// Throws malformed: "read INPUT: this is a certificate request, expected a certificate"; the hint
// is the command that reads what it is. `input` is as messages name it: a quoted path, a URI. What
// cannot be told apart from a damaged file of the right kind is called that.
[[noreturn]] void refuse_kind(ByteView content, std::string_view input, std::string_view expected);

}  // namespace hsmith::x509
