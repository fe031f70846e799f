#include "tokens/quirks.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <vector>

#include "src/base/shell_words.h"
#include "src/base/text.h"

namespace hsmith::tokens {
namespace {

namespace fs = std::filesystem;

struct QuirkName {
  const char* name;
  bool ModuleQuirks::*flag;
};
constexpr std::array kQuirkNames{QuirkName{"rewrites_at_login", &ModuleQuirks::rewrites_at_login},
                                 QuirkName{"threads_wait", &ModuleQuirks::threads_wait}};

// What the configuration says of a module.
struct Setting {
  std::string file_name;
  bool ModuleQuirks::*flag;
  bool value;
};
std::vector<Setting> settings;

bool ModuleQuirks::*flag_named(const std::string& name) {
  std::vector<std::string> known;
  for (const QuirkName& quirk : kQuirkNames) {
    if (name == quirk.name) return quirk.flag;
    known.emplace_back(quirk.name);
  }
  const auto near = did_you_mean(name, known);
  throw Error(Kind::configuration, fmt::format("there is no quirk {}", quoted(name)))
      .hint(near ? fmt::format("did you mean {}?", *near)
                 : fmt::format("there are {}", fmt::join(known, " and ")));
}

}  // namespace

void set_module_quirks(const std::string& file_name,
                       const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values) {
    bool ModuleQuirks::*const flag = flag_named(name);
    if (value != "true" && value != "false") {
      throw Error(Kind::configuration,
                  fmt::format("the quirk {} is true or false, not {}", name, quoted(value)));
    }
    settings.push_back({file_name, flag, value == "true"});
  }
}

ModuleQuirks module_quirks(const std::string& module_path) {
  // SoftHSM 2.6.1 truncates and rewrites token.object in C_Login (open there as #757, #573, #464).
  // The proxies may stand before it.
  std::error_code ignored;
  const fs::path path(module_path);
  const fs::path target = fs::weakly_canonical(path, ignored);
  static constexpr std::array kRewriters{"libsofthsm2.so", "p11-kit-proxy.so", "libp11-kit.so.0",
                                         "pkcs11-spy.so", "hsmith_fault_module.so"};
  // A link's own name counts as well as that of what it leads to.
  const auto is_called = [&](std::string_view name) {
    return path.filename() == name || target.filename() == name;
  };
  ModuleQuirks quirks{
      .rewrites_at_login = std::any_of(kRewriters.begin(), kRewriters.end(), is_called),
      .threads_wait = target.filename() == "libsofthsm2.so"};
  for (const Setting& setting : settings) {
    if (is_called(setting.file_name)) quirks.*setting.flag = setting.value;
  }
  return quirks;
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

bool is_opencryptoki(const pkcs11::TokenInfo& token) {
  return token.manufacturer == "IBM Corp." && token.model == "IBM SoftTok";
}

bool is_opensc(const pkcs11::TokenInfo& token) { return token.model.starts_with("PKCS#15"); }

// ykcs11 2.2, a PIV card: ids 1 to 24 are the slots 9A, 9C, 9D, 9E, 82 to 95. 25 is the one that
// certifies the others (F9); ykcs11 would replace that key too. It has no C_InitPIN, and its
// C_InitToken resets the card and keeps the label that it gives it.
constexpr std::array<CK_ATTRIBUTE_TYPE, 3> kUnknownToYkcs11{CKA_EXTRACTABLE, CKA_SIGN_RECOVER,
                                                            CKA_VERIFY_RECOVER};
constexpr TokenQuirks kYkcs11{
    .first_place = 1,
    .last_place = 24,
    .officer_makes_keys = true,
    .keeps_keys = true,
    .fixed_labels = true,
    .ec_keys_derive = true,
    .unknown_attributes = kUnknownToYkcs11,
    .placeholder_subject = "CN=YubiKey PIV Slot ",
    .unblocks_pin = "yubico-piv-tool -a unblock-pin",
    .takes_keys_by = "yubico-piv-tool -a import-key",
    .spoilt_by_init = "keeps its label, and its module sets no user PIN (C_InitPIN)",
    .made_new_by = "yubico-piv-tool -a reset"};

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
                           .unblocks_pin = "tpm2_dictionarylockout --clear-lockout",
                           .unblocking_keeps_pin = true,
                           .takes_keys_by = "tpm2_ptool import"};

// NSS 3.110 (Debian 13): makes Ed25519 keys, and answers ARGUMENTS_BAD to C_Sign with CKM_EDDSA.
// NSS 3.87 has no CKA_LOCAL for keys that it keeps.
constexpr TokenQuirks kNss{.never_local = true, .unusable_type = "ed25519"};

// openCryptoki 3.8: after C_InitToken with an SO PIN that is not the one of the delivery C_Login of
// the security officer is FUNCTION_FAILED, in every process.
constexpr TokenQuirks kOpencryptoki{
    .spoilt_by_init = "lets no security officer in afterwards, as its SO PIN was changed",
    .spoilt_once_so_pin_changed = true,
    .made_new_by = "removing its files in /var/lib/opencryptoki while pkcsslotd is stopped"};

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

const TokenQuirks& token_quirks(const pkcs11::TokenInfo& token) {
  static constexpr TokenQuirks kNone;
  if (is_ykcs11(token)) return kYkcs11;
  if (is_tpm(token)) return kTpm;
  if (is_nss(token)) return kNss;
  if (is_opencryptoki(token)) return kOpencryptoki;
  return is_opensc(token) ? kOpensc : kNone;
}

std::string unblock_command(const pkcs11::TokenInfo& token) {
  const std::string_view own_way = token_quirks(token).unblocks_pin;
  if (!own_way.empty()) return std::string(own_way);
  return "hsmith token pin unblock --token " + shell_word(token.label);
}

std::string unblock_hint(const pkcs11::TokenInfo& token) {
  const bool keeps = token_quirks(token).unblocking_keeps_pin;
  return (keeps ? "the PIN stays what it is, and may be tried again after: "
                : "a new one is set with: ") +
         unblock_command(token);
}

bool may_hide_leftovers(const pkcs11::TokenInfo& token, const Error& error) {
  return token_quirks(token).lists_from_memory && error.kind() != Kind::unsupported;
}

bool is_busy_code(const std::string& ckr) {
  return ckr == "CKR_GENERAL_ERROR" || ckr == "CKR_TOKEN_NOT_RECOGNIZED" ||
         ckr == "CKR_USER_PIN_NOT_INITIALIZED";
}

}  // namespace hsmith::tokens
