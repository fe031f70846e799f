// What doctor looks at besides tokens and what was interrupted: this machine, its files, its
// libraries.
#pragma once

#include "cli/context.h"

namespace hsmith::cli {

enum class State { ok, warning, problem };

// One line of doctor's answer; a problem makes its exit status 3.
struct Check {
  std::string name;
  State state = State::ok;
  std::string text;
  std::string remedy;
};

// Clock, libraries, state and lock folder, audit log, the file of the PIN.
std::vector<Check> check_machine(const Context& context);

// Whether others than its owner, or anybody, could put another library in the place of this one.
std::vector<Check> check_module_file(const std::filesystem::path& module);

// Throws unsafe_permissions when anybody may write to the state folder: its journal decides what a
// repair does to keys.
void refuse_unsafe_state(const Context& context);

// What is known to be wrong with this version of OpenSSL (OPENSSL_VERSION_NUMBER); empty: nothing.
std::string openssl_flaw(unsigned long version);

}  // namespace hsmith::cli
