#include "tokens/quirks.h"

#include <algorithm>
#include <array>
#include <filesystem>

namespace hsmith::tokens {

Quirks quirks_of(const std::string& module_path) {
  // SoftHSM 2.6.1 truncates and rewrites token.object in C_Login (open there as #757, #573, #464).
  // The proxies may stand before it.
  std::error_code ignored;
  const std::filesystem::path target = std::filesystem::weakly_canonical(module_path, ignored);
  static constexpr std::array kRewriters{"libsofthsm2.so", "p11-kit-proxy.so", "libp11-kit.so.0",
                                         "pkcs11-spy.so", "hsmith_fault_module.so"};
  // A link's own name counts as well as that of what it leads to.
  const auto is_rewriter = [](const std::filesystem::path& path) {
    return std::find(kRewriters.begin(), kRewriters.end(), path.filename()) != kRewriters.end();
  };
  return {.rewrites_at_login = is_rewriter(module_path) || is_rewriter(target)};
}

bool is_busy_code(const std::string& ckr) {
  return ckr == "CKR_GENERAL_ERROR" || ckr == "CKR_TOKEN_NOT_RECOGNIZED" ||
         ckr == "CKR_USER_PIN_NOT_INITIALIZED";
}

}  // namespace hsmith::tokens
