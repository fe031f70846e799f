#include "tests/support/fault_module/names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <span>

namespace hsmith::fault {
namespace {

struct Name {
  const char* name;
  CK_ULONG value;
};

#define V(name) \
  { #name, name }
// clang-format off
constexpr Name kResults[] = {
    V(CKR_OK), V(CKR_CANCEL), V(CKR_HOST_MEMORY), V(CKR_SLOT_ID_INVALID), V(CKR_GENERAL_ERROR),
    V(CKR_FUNCTION_FAILED), V(CKR_ARGUMENTS_BAD), V(CKR_NO_EVENT), V(CKR_NEED_TO_CREATE_THREADS),
    V(CKR_CANT_LOCK), V(CKR_ATTRIBUTE_READ_ONLY), V(CKR_ATTRIBUTE_SENSITIVE),
    V(CKR_ATTRIBUTE_TYPE_INVALID), V(CKR_ATTRIBUTE_VALUE_INVALID), V(CKR_ACTION_PROHIBITED),
    V(CKR_DATA_INVALID), V(CKR_DATA_LEN_RANGE), V(CKR_DEVICE_ERROR), V(CKR_DEVICE_MEMORY),
    V(CKR_DEVICE_REMOVED), V(CKR_ENCRYPTED_DATA_INVALID), V(CKR_ENCRYPTED_DATA_LEN_RANGE),
    V(CKR_FUNCTION_CANCELED), V(CKR_FUNCTION_NOT_PARALLEL), V(CKR_FUNCTION_NOT_SUPPORTED),
    V(CKR_KEY_HANDLE_INVALID), V(CKR_KEY_SIZE_RANGE), V(CKR_KEY_TYPE_INCONSISTENT),
    V(CKR_KEY_NOT_NEEDED), V(CKR_KEY_CHANGED), V(CKR_KEY_NEEDED), V(CKR_KEY_INDIGESTIBLE),
    V(CKR_KEY_FUNCTION_NOT_PERMITTED), V(CKR_KEY_NOT_WRAPPABLE), V(CKR_KEY_UNEXTRACTABLE),
    V(CKR_MECHANISM_INVALID), V(CKR_MECHANISM_PARAM_INVALID), V(CKR_OBJECT_HANDLE_INVALID),
    V(CKR_OPERATION_ACTIVE), V(CKR_OPERATION_NOT_INITIALIZED), V(CKR_PIN_INCORRECT),
    V(CKR_PIN_INVALID), V(CKR_PIN_LEN_RANGE), V(CKR_PIN_EXPIRED), V(CKR_PIN_LOCKED),
    V(CKR_SESSION_CLOSED), V(CKR_SESSION_COUNT), V(CKR_SESSION_HANDLE_INVALID),
    V(CKR_SESSION_PARALLEL_NOT_SUPPORTED), V(CKR_SESSION_READ_ONLY), V(CKR_SESSION_EXISTS),
    V(CKR_SESSION_READ_ONLY_EXISTS), V(CKR_SESSION_READ_WRITE_SO_EXISTS),
    V(CKR_SIGNATURE_INVALID), V(CKR_SIGNATURE_LEN_RANGE), V(CKR_TEMPLATE_INCOMPLETE),
    V(CKR_TEMPLATE_INCONSISTENT), V(CKR_TOKEN_NOT_PRESENT), V(CKR_TOKEN_NOT_RECOGNIZED),
    V(CKR_TOKEN_WRITE_PROTECTED), V(CKR_UNWRAPPING_KEY_SIZE_RANGE),
    V(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT), V(CKR_USER_ALREADY_LOGGED_IN),
    V(CKR_USER_NOT_LOGGED_IN), V(CKR_USER_PIN_NOT_INITIALIZED), V(CKR_USER_TYPE_INVALID),
    V(CKR_USER_ANOTHER_ALREADY_LOGGED_IN), V(CKR_USER_TOO_MANY_TYPES), V(CKR_WRAPPED_KEY_INVALID),
    V(CKR_WRAPPED_KEY_LEN_RANGE), V(CKR_WRAPPING_KEY_HANDLE_INVALID),
    V(CKR_WRAPPING_KEY_SIZE_RANGE), V(CKR_WRAPPING_KEY_TYPE_INCONSISTENT),
    V(CKR_RANDOM_SEED_NOT_SUPPORTED), V(CKR_RANDOM_NO_RNG), V(CKR_DOMAIN_PARAMS_INVALID),
    V(CKR_CURVE_NOT_SUPPORTED), V(CKR_BUFFER_TOO_SMALL), V(CKR_SAVED_STATE_INVALID),
    V(CKR_INFORMATION_SENSITIVE), V(CKR_STATE_UNSAVEABLE), V(CKR_CRYPTOKI_NOT_INITIALIZED),
    V(CKR_CRYPTOKI_ALREADY_INITIALIZED), V(CKR_MUTEX_BAD), V(CKR_MUTEX_NOT_LOCKED),
    V(CKR_NEW_PIN_MODE), V(CKR_NEXT_OTP), V(CKR_EXCEEDED_MAX_ITERATIONS),
    V(CKR_FIPS_SELF_TEST_FAILED), V(CKR_LIBRARY_LOAD_FAILED), V(CKR_PIN_TOO_WEAK),
    V(CKR_PUBLIC_KEY_INVALID), V(CKR_FUNCTION_REJECTED), V(CKR_VENDOR_DEFINED),
};
constexpr Name kAttributes[] = {
    V(CKA_CLASS), V(CKA_TOKEN), V(CKA_PRIVATE), V(CKA_LABEL), V(CKA_APPLICATION), V(CKA_VALUE),
    V(CKA_OBJECT_ID), V(CKA_CERTIFICATE_TYPE), V(CKA_ISSUER), V(CKA_SERIAL_NUMBER),
    V(CKA_AC_ISSUER), V(CKA_OWNER), V(CKA_ATTR_TYPES), V(CKA_TRUSTED),
    V(CKA_CERTIFICATE_CATEGORY), V(CKA_URL), V(CKA_HASH_OF_SUBJECT_PUBLIC_KEY),
    V(CKA_HASH_OF_ISSUER_PUBLIC_KEY), V(CKA_NAME_HASH_ALGORITHM), V(CKA_CHECK_VALUE),
    V(CKA_KEY_TYPE), V(CKA_SUBJECT), V(CKA_ID), V(CKA_SENSITIVE), V(CKA_ENCRYPT), V(CKA_DECRYPT),
    V(CKA_WRAP), V(CKA_UNWRAP), V(CKA_SIGN), V(CKA_SIGN_RECOVER), V(CKA_VERIFY),
    V(CKA_VERIFY_RECOVER), V(CKA_DERIVE), V(CKA_START_DATE), V(CKA_END_DATE), V(CKA_MODULUS),
    V(CKA_MODULUS_BITS), V(CKA_PUBLIC_EXPONENT), V(CKA_PRIVATE_EXPONENT), V(CKA_PRIME_1),
    V(CKA_PRIME_2), V(CKA_EXPONENT_1), V(CKA_EXPONENT_2), V(CKA_COEFFICIENT),
    V(CKA_PUBLIC_KEY_INFO), V(CKA_PRIME), V(CKA_SUBPRIME), V(CKA_BASE), V(CKA_PRIME_BITS),
    V(CKA_SUB_PRIME_BITS), V(CKA_VALUE_BITS), V(CKA_VALUE_LEN), V(CKA_EXTRACTABLE), V(CKA_LOCAL),
    V(CKA_NEVER_EXTRACTABLE), V(CKA_ALWAYS_SENSITIVE), V(CKA_KEY_GEN_MECHANISM), V(CKA_MODIFIABLE), V(CKA_COPYABLE),
    V(CKA_DESTROYABLE), V(CKA_EC_PARAMS), V(CKA_EC_POINT), V(CKA_AUTH_PIN_FLAGS),
    V(CKA_ALWAYS_AUTHENTICATE), V(CKA_WRAP_WITH_TRUSTED), V(CKA_MECHANISM_TYPE),
    V(CKA_WRAP_TEMPLATE), V(CKA_UNWRAP_TEMPLATE), V(CKA_DERIVE_TEMPLATE),
    V(CKA_ALLOWED_MECHANISMS),
    {"CKA_UNIQUE_ID", 0x4},
    {"CKA_PROFILE_ID", 0x601},
};
constexpr Name kMechanisms[] = {
    V(CKM_RSA_PKCS_KEY_PAIR_GEN), V(CKM_RSA_PKCS), V(CKM_RSA_9796), V(CKM_RSA_X_509),
    V(CKM_SHA1_RSA_PKCS), V(CKM_RSA_PKCS_OAEP), V(CKM_RSA_PKCS_PSS), V(CKM_SHA1_RSA_PKCS_PSS),
    V(CKM_DSA_KEY_PAIR_GEN), V(CKM_DSA), V(CKM_DSA_SHA1), V(CKM_DSA_SHA224), V(CKM_DSA_SHA256),
    V(CKM_DSA_SHA384), V(CKM_DSA_SHA512), V(CKM_DH_PKCS_KEY_PAIR_GEN), V(CKM_DH_PKCS_DERIVE),
    V(CKM_SHA256_RSA_PKCS), V(CKM_SHA384_RSA_PKCS), V(CKM_SHA512_RSA_PKCS),
    V(CKM_SHA256_RSA_PKCS_PSS), V(CKM_SHA384_RSA_PKCS_PSS), V(CKM_SHA512_RSA_PKCS_PSS),
    V(CKM_DES2_KEY_GEN), V(CKM_DES3_KEY_GEN), V(CKM_DES3_ECB), V(CKM_DES3_CBC), V(CKM_DES3_MAC),
    V(CKM_DES3_MAC_GENERAL), V(CKM_DES3_CBC_PAD), V(CKM_DES3_CMAC_GENERAL), V(CKM_DES3_CMAC),
    V(CKM_SHA_1), V(CKM_SHA_1_HMAC), V(CKM_SHA_1_HMAC_GENERAL), V(CKM_SHA256), V(CKM_SHA256_HMAC),
    V(CKM_SHA256_HMAC_GENERAL), V(CKM_SHA384), V(CKM_SHA384_HMAC), V(CKM_SHA384_HMAC_GENERAL),
    V(CKM_SHA512), V(CKM_SHA512_HMAC), V(CKM_SHA512_HMAC_GENERAL), V(CKM_GENERIC_SECRET_KEY_GEN),
    V(CKM_SHA1_KEY_DERIVATION), V(CKM_SHA256_KEY_DERIVATION), V(CKM_SHA384_KEY_DERIVATION),
    V(CKM_SHA512_KEY_DERIVATION), V(CKM_PKCS5_PBKD2), V(CKM_PBA_SHA1_WITH_SHA1_HMAC),
    V(CKM_EC_KEY_PAIR_GEN), V(CKM_ECDSA),
    V(CKM_ECDSA_SHA1), V(CKM_ECDSA_SHA224), V(CKM_ECDSA_SHA256), V(CKM_ECDSA_SHA384),
    V(CKM_ECDSA_SHA512), V(CKM_ECDH1_DERIVE), V(CKM_ECDH1_COFACTOR_DERIVE), V(CKM_ECMQV_DERIVE),
    V(CKM_ECDH_AES_KEY_WRAP), V(CKM_RSA_AES_KEY_WRAP), V(CKM_AES_KEY_GEN), V(CKM_AES_ECB),
    V(CKM_AES_CBC), V(CKM_AES_MAC), V(CKM_AES_MAC_GENERAL), V(CKM_AES_CBC_PAD), V(CKM_AES_CTR),
    V(CKM_AES_GCM), V(CKM_AES_CCM), V(CKM_AES_CTS), V(CKM_AES_CMAC), V(CKM_AES_CMAC_GENERAL),
    V(CKM_AES_GMAC), V(CKM_DES3_ECB_ENCRYPT_DATA), V(CKM_DES3_CBC_ENCRYPT_DATA),
    V(CKM_AES_ECB_ENCRYPT_DATA), V(CKM_AES_CBC_ENCRYPT_DATA), V(CKM_DH_PKCS_PARAMETER_GEN),
    V(CKM_AES_OFB), V(CKM_AES_CFB64), V(CKM_AES_CFB8), V(CKM_AES_CFB128), V(CKM_AES_CFB1),
    V(CKM_SHA224), V(CKM_SHA224_HMAC), V(CKM_SHA224_HMAC_GENERAL), V(CKM_SHA224_RSA_PKCS),
    V(CKM_SHA224_RSA_PKCS_PSS), V(CKM_SHA224_KEY_DERIVATION), V(CKM_AES_KEY_WRAP),
    V(CKM_AES_KEY_WRAP_PAD), V(CKM_RSA_PKCS_TPM_1_1), V(CKM_RSA_PKCS_OAEP_TPM_1_1),
    V(CKM_EC_EDWARDS_KEY_PAIR_GEN), V(CKM_EDDSA),
    {"CKM_AES_KEY_WRAP_KWP", 0x210b},
    {"CKM_HKDF_DERIVE", 0x402a},
    {"CKM_EC_MONTGOMERY_KEY_PAIR_GEN", 0x1056},
    {"CKM_ML_KEM_KEY_PAIR_GEN", 0xf},
    {"CKM_ML_KEM", 0x17},
    {"CKM_ML_DSA_KEY_PAIR_GEN", 0x1c},
    {"CKM_ML_DSA", 0x1d},
};
constexpr Name kFlags[] = {
    V(CKF_TOKEN_PRESENT), V(CKF_REMOVABLE_DEVICE), V(CKF_HW_SLOT), V(CKF_RNG),
    V(CKF_WRITE_PROTECTED), V(CKF_LOGIN_REQUIRED), V(CKF_USER_PIN_INITIALIZED),
    V(CKF_RESTORE_KEY_NOT_NEEDED), V(CKF_CLOCK_ON_TOKEN), V(CKF_PROTECTED_AUTHENTICATION_PATH),
    V(CKF_DUAL_CRYPTO_OPERATIONS), V(CKF_TOKEN_INITIALIZED), V(CKF_USER_PIN_COUNT_LOW),
    V(CKF_USER_PIN_FINAL_TRY), V(CKF_USER_PIN_LOCKED), V(CKF_USER_PIN_TO_BE_CHANGED),
    V(CKF_SO_PIN_COUNT_LOW), V(CKF_SO_PIN_FINAL_TRY), V(CKF_SO_PIN_LOCKED),
    V(CKF_SO_PIN_TO_BE_CHANGED), V(CKF_RW_SESSION), V(CKF_SERIAL_SESSION), V(CKF_HW),
    V(CKF_ENCRYPT), V(CKF_DECRYPT), V(CKF_DIGEST), V(CKF_SIGN), V(CKF_SIGN_RECOVER),
    V(CKF_VERIFY), V(CKF_VERIFY_RECOVER), V(CKF_GENERATE), V(CKF_GENERATE_KEY_PAIR), V(CKF_WRAP),
    V(CKF_UNWRAP), V(CKF_DERIVE), V(CKF_EC_F_P), V(CKF_EC_NAMEDCURVE), V(CKF_EC_UNCOMPRESS),
    V(CKF_EC_COMPRESS), V(CKF_DONT_BLOCK), V(CKF_LIBRARY_CANT_CREATE_OS_THREADS),
    V(CKF_OS_LOCKING_OK),
};
constexpr Name kClasses[] = {
    V(CKO_DATA), V(CKO_CERTIFICATE), V(CKO_PUBLIC_KEY), V(CKO_PRIVATE_KEY), V(CKO_SECRET_KEY),
    V(CKO_DOMAIN_PARAMETERS), V(CKO_MECHANISM),
    {"CKO_PROFILE", 0x9},
};
constexpr Name kKeyTypes[] = {
    V(CKK_RSA), V(CKK_DSA), V(CKK_DH), V(CKK_ECDSA), V(CKK_EC), V(CKK_GENERIC_SECRET), V(CKK_DES),
    V(CKK_DES2), V(CKK_DES3), V(CKK_AES), V(CKK_SHA_1_HMAC), V(CKK_SHA256_HMAC),
    V(CKK_SHA384_HMAC), V(CKK_SHA512_HMAC), V(CKK_SHA224_HMAC), V(CKK_EC_EDWARDS),
    {"CKK_EC_MONTGOMERY", 0x41},
};
// clang-format on
#undef V

constexpr const char* kFunctions[] = {
#define HSMITH_NAME(name) #name,
    HSMITH_FAULT_FUNCTIONS(HSMITH_NAME)
#undef HSMITH_NAME
        "any"};

constexpr Function kGiveBytes[] = {
    Function::C_GetSlotList,
    Function::C_GetMechanismList,
    Function::C_FindObjects,
    Function::C_GetOperationState,
    Function::C_Encrypt,
    Function::C_EncryptUpdate,
    Function::C_EncryptFinal,
    Function::C_Decrypt,
    Function::C_DecryptUpdate,
    Function::C_DecryptFinal,
    Function::C_Digest,
    Function::C_DigestFinal,
    Function::C_Sign,
    Function::C_SignFinal,
    Function::C_SignRecover,
    Function::C_VerifyRecover,
    Function::C_DigestEncryptUpdate,
    Function::C_DecryptDigestUpdate,
    Function::C_SignEncryptUpdate,
    Function::C_DecryptVerifyUpdate,
    Function::C_WrapKey,
    Function::C_GenerateRandom,
};

constexpr Function kTakeTemplate[] = {
    Function::C_CreateObject,    Function::C_CopyObject,  Function::C_SetAttributeValue,
    Function::C_FindObjectsInit, Function::C_GenerateKey, Function::C_GenerateKeyPair,
    Function::C_UnwrapKey,       Function::C_DeriveKey,
};

std::span<const Name> table(Names kind) {
  switch (kind) {
    case Names::ckr:
      return kResults;
    case Names::cka:
      return kAttributes;
    case Names::ckm:
      return kMechanisms;
    case Names::ckf:
      return kFlags;
    case Names::cko:
      return kClasses;
    case Names::ckk:
      return kKeyTypes;
  }
  return {};
}

}  // namespace

const char* name_of(Function function) { return kFunctions[static_cast<std::size_t>(function)]; }

std::optional<Function> function_named(std::string_view name) {
  for (std::size_t i = 0; i <= kFunctionCount; ++i) {
    if (name == kFunctions[i]) return static_cast<Function>(i);
  }
  return std::nullopt;
}

bool gives_bytes(Function function) {
  return std::ranges::find(kGiveBytes, function) != std::end(kGiveBytes);
}

bool takes_template(Function function) {
  return std::ranges::find(kTakeTemplate, function) != std::end(kTakeTemplate);
}

std::optional<CK_ULONG> value_named(Names kind, std::string_view name) {
  for (const Name& entry : table(kind)) {
    if (name == entry.name) return entry.value;
  }
  return parse_number(name);
}

std::string name_of(Names kind, CK_ULONG value) {
  for (const Name& entry : table(kind)) {
    if (value == entry.value) return entry.name;
  }
  std::array<char, 2 + 2 * sizeof value + 1> text{};
  std::snprintf(text.data(), text.size(), "0x%lx", value);
  return text.data();
}

std::optional<CK_ULONG> parse_number(std::string_view word) {
  const bool hexadecimal = word.starts_with("0x");
  if (hexadecimal) word.remove_prefix(2);
  CK_ULONG number = 0;
  const char* end = word.data() + word.size();
  const auto parsed = std::from_chars(word.data(), end, number, hexadecimal ? 16 : 10);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

}  // namespace hsmith::fault
