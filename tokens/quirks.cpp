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
  return {.rewrites_at_login = is_rewriter(module_path) || is_rewriter(target),
          .threads_wait = target.filename() == "libsofthsm2.so"};
}

namespace {

bool is_ykcs11(const pkcs11::TokenInfo& token) {
  return token.manufacturer.starts_with("Yubico") && token.label.starts_with("YubiKey PIV");
}

// A vendor of TCG's registry, in four letters, and no serial number.
bool is_tpm(const pkcs11::TokenInfo& token) {
  return token.serial == "0000000000000000" && token.manufacturer.size() <= 4;
}

bool is_nss(const pkcs11::TokenInfo& token) {
  return token.manufacturer.starts_with("Mozilla") && token.model.starts_with("NSS 3");
}

bool is_opensc(const pkcs11::TokenInfo& token) { return token.model.starts_with("PKCS#15"); }

// ykcs11 2.2, a PIV card: ids 1 to 24 are the slots 9A, 9C, 9D, 9E, 82 to 95. 25 is the one that
// certifies the others (F9); ykcs11 would replace that key too. It has no C_InitPIN.
constexpr std::array<CK_ATTRIBUTE_TYPE, 3> kUnknownToYkcs11{CKA_EXTRACTABLE, CKA_SIGN_RECOVER,
                                                            CKA_VERIFY_RECOVER};
constexpr TokenQuirks kYkcs11{.first_place = 1,
                              .last_place = 24,
                              .officer_makes_keys = true,
                              .keeps_keys = true,
                              .fixed_labels = true,
                              .ec_keys_derive = true,
                              .unknown_attributes = kUnknownToYkcs11,
                              .placeholder_subject = "CN=YubiKey PIV Slot ",
                              .unblocks_pin = "yubico-piv-tool -a unblock-pin"};

// tpm2-pkcs11 1.9: takes the public key's uses from the private key's, and a template that says
// them too for a contradiction (GENERAL_ERROR); signs CKM_RSA_PKCS and CKM_RSA_PKCS_PSS by
// TPM2_RSA_Decrypt; answers ATTRIBUTE_VALUE_INVALID to RSA 4096; stores points of P-521 as
// malformed DER, which it then cannot read itself (HOST_MEMORY). Wrong PINs lock the whole TPM, for
// its security officers too.
constexpr std::array<CK_ATTRIBUTE_TYPE, 2> kDerivedByTpm{CKA_VERIFY, CKA_ENCRYPT};
constexpr TokenQuirks kTpm{.rsa_signs_by_decrypting = true,
                           .unknown_attributes = kDerivedByTpm,
                           .refuses_type = "CKR_ATTRIBUTE_VALUE_INVALID",
                           .unusable_type = "ec:p521",
                           .unblocks_pin = "tpm2_dictionarylockout --clear-lockout"};

// NSS 3.110 (Debian 13): makes Ed25519 keys, and answers ARGUMENTS_BAD to C_Sign with CKM_EDDSA.
constexpr TokenQuirks kNss{.unusable_type = "ed25519"};

// OpenSC 0.23, any card: reads the card's objects once for a process; a generation that a pulled
// card breaks off may leave a private key without a public one. GENERAL_ERROR to a second
// certificate of a key ("Non unique object ID"), TOKEN_NOT_RECOGNIZED to a curve that the card does
// not have. What unblocks a PIN is the card's PUK, which is no security
// officer's PIN for most cards.
constexpr TokenQuirks kOpensc{.lists_from_memory = true,
                              .one_certificate_an_id = true,
                              .refuses_type = "CKR_TOKEN_NOT_RECOGNIZED",
                              .unblocks_pin = "pkcs15-tool --unblock-pin"};

}  // namespace

const TokenQuirks& quirks_of(const pkcs11::TokenInfo& token) {
  static constexpr TokenQuirks kNone;
  if (is_ykcs11(token)) return kYkcs11;
  if (is_tpm(token)) return kTpm;
  if (is_nss(token)) return kNss;
  return is_opensc(token) ? kOpensc : kNone;
}

bool may_hide_leftovers(const pkcs11::TokenInfo& token, const Error& error) {
  return quirks_of(token).lists_from_memory && error.kind() != Kind::unsupported;
}

bool is_busy_code(const std::string& ckr) {
  return ckr == "CKR_GENERAL_ERROR" || ckr == "CKR_TOKEN_NOT_RECOGNIZED" ||
         ckr == "CKR_USER_PIN_NOT_INITIALIZED";
}

}  // namespace hsmith::tokens
