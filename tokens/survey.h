// A look at modules that may crash, hang or fail: each in a child process of its own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pkcs11/module.h"
#include "tokens/configured_modules.h"
#include "tokens/token.h"

namespace hsmith::tokens {

struct SurveyedSlot {
  CK_SLOT_ID id = 0;
  std::string description;
  std::optional<pkcs11::TokenInfo> token;  // absent: the slot is empty
  std::string failure;                     // why the token could not be read, or empty
};

struct SurveyedModule {
  ConfiguredModule module;
  std::string description;
  std::vector<SurveyedSlot> slots;
  std::string failure;  // why the module could not be used: crashed, hangs, no PKCS#11 library
};

// Loads the module in a child process and lists its slots; ten seconds at most. Must run before
// this process loads a module. Never throws for what the module does. Without a lock folder nothing
// keeps other processes from disturbing the look (quirks.h).
SurveyedModule survey(const ConfiguredModule& module,
                      const std::optional<std::filesystem::path>& lock_folder);

// The one configured module that has the token that is meant. Throws not_found or ambiguous with
// the tokens' URIs, module_load when there is no module at all.
ConfiguredModule module_with_token(const TokenChoice& choice,
                                   const std::filesystem::path& lock_folder);

}  // namespace hsmith::tokens
