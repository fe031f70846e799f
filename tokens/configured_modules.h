// The modules that p11-kit has configured on this machine.
#pragma once

#include <string>
#include <vector>

namespace hsmith::tokens {

struct ConfiguredModule {
  std::string name;  // "softhsm2"
  std::string path;  // absolute where p11-kit's folder is meant
  std::string init;  // x-init-reserved
};

// Reads pkcs11.conf(5)'s module files: the user's (not as root), the system's, the packages'; the
// first of a name counts. Modules that are disabled for hsmith, remote ones and the trust module,
// which holds no keys, are left out. No module is loaded.
std::vector<ConfiguredModule> configured_modules();

// A path stays what it is; a name is looked up. Throws module_load with the known names.
ConfiguredModule resolve_module(const std::string& path_or_name);

}  // namespace hsmith::tokens
