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

const TokenQuirks& quirks_of(const pkcs11::TokenInfo& token) {
  static const TokenQuirks kNone;
  // A PIV card behind ykcs11 2.2: ids 1 to 24 are the slots 9A, 9C, 9D, 9E, 82 to 95. 25 is the one
  // that certifies the others (F9); ykcs11 would replace that key too.
  static constexpr std::array<CK_ATTRIBUTE_TYPE, 3> kUnknown{CKA_EXTRACTABLE, CKA_SIGN_RECOVER,
                                                             CKA_VERIFY_RECOVER};
  static const TokenQuirks kYkcs11{.first_place = 1,
                                   .last_place = 24,
                                   .officer_makes_keys = true,
                                   .keeps_keys = true,
                                   .fixed_labels = true,
                                   .ec_keys_derive = true,
                                   .unknown_attributes = kUnknown,
                                   .placeholder_subject = "CN=YubiKey PIV Slot "};
  const bool is_ykcs11 =
      token.manufacturer.starts_with("Yubico") && token.label.starts_with("YubiKey PIV");
  return is_ykcs11 ? kYkcs11 : kNone;
}

bool is_busy_code(const std::string& ckr) {
  return ckr == "CKR_GENERAL_ERROR" || ckr == "CKR_TOKEN_NOT_RECOGNIZED" ||
         ckr == "CKR_USER_PIN_NOT_INITIALIZED";
}

}  // namespace hsmith::tokens
