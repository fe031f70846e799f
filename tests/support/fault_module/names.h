// Names of Cryptoki's functions and constants, and back.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tests/support/fault_module/functions.h"

namespace hsmith::fault {

// "C_Sign" for Function::C_Sign, "any" for any.
const char* name_of(Function function);
std::optional<Function> function_named(std::string_view name);

// True for the functions that hand out bytes or a list of a length they choose, and for
// C_GenerateRandom.
bool gives_bytes(Function function);

// True for the functions that take an attribute template to make, change or find objects by.
bool takes_template(Function function);

enum class Names { ckr, cka, ckm, ckf, cko, ckk };

// The value of a name of that kind; a decimal or 0x number is taken as it is.
std::optional<CK_ULONG> value_named(Names kind, std::string_view name);

// The name of a value, or the value in hexadecimal where it has none here.
std::string name_of(Names kind, CK_ULONG value);

// A decimal or 0x number, the whole word.
std::optional<CK_ULONG> parse_number(std::string_view word);

}  // namespace hsmith::fault
