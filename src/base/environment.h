// What the process was started with: secrets taken out of its environment, and the user's folders.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "src/base/secret.h"

namespace hsmith {

struct Environment {
  // Values of variables that hold secrets, by name. They are no longer in the process environment.
  std::map<std::string, Secret> secrets;
  std::filesystem::path state_folder;          // $HSMITH_STATE, else the XDG state folder's hsmith
  std::filesystem::path configuration_folder;  // the XDG configuration folder's hsmith
  std::filesystem::path runtime_folder;        // $XDG_RUNTIME_DIR; empty when not set
};

// To be called once, before threads and children. Moves HSMITH_PIN and its like (HSMITH_*PIN,
// HSMITH_*PASSWORD) into `secrets` and wipes the memory they were in, so that neither a child nor
// /proc shows them. Throws configuration when there is no home folder to keep state in.
Environment take_environment();

// A variable that is not secret; set but empty counts as not set.
std::optional<std::string> variable(const char* name);

// A copy of the secret that the variable held; it is taken out of the process environment as above.
// nullopt when it was never set. Can be asked for again.
std::optional<Secret> secret_variable(Environment& environment, const std::string& name);

}  // namespace hsmith
