#include "pkcs11/error.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

#include "pkcs11/names.h"

namespace hsmith::pkcs11 {
namespace {

#define CODE(name) name, #name

constexpr char kFull[] = "the token may be full: see hsmith token info and hsmith key list";
constexpr char kDoctor[] = "check module and token with: hsmith token list";
constexpr char kMechanisms[] = "see what the token offers with: hsmith token info";

// Meanings say what it means for the user of a key, not what the standard calls it.
constexpr ReturnCode kCodes[] = {
    {CODE(CKR_CANCEL), Kind::token_failed, "the operation was cancelled on the device", ""},
    {CODE(CKR_HOST_MEMORY), Kind::token_failed, "the module ran out of memory", ""},
    {CODE(CKR_SLOT_ID_INVALID), Kind::token_failed, "the slot is gone", kDoctor},
    {CODE(CKR_GENERAL_ERROR), Kind::token_failed, "the token failed without a reason", kDoctor},
    {CODE(CKR_FUNCTION_FAILED), Kind::token_failed, "the token could not do it", kFull},
    {CODE(CKR_ARGUMENTS_BAD), Kind::token_failed, "the module refuses the arguments", ""},
    {CODE(CKR_NEED_TO_CREATE_THREADS), Kind::token_failed, "the module wants threads", ""},
    {CODE(CKR_CANT_LOCK), Kind::token_failed, "the module cannot lock", ""},
    {CODE(CKR_ATTRIBUTE_READ_ONLY), Kind::token_failed, "the token does not let it be set", ""},
    {CODE(CKR_ATTRIBUTE_SENSITIVE), Kind::token_failed, "the value must not be read", ""},
    {CODE(CKR_ATTRIBUTE_TYPE_INVALID), Kind::token_failed,
     "the token does not know an attribute of the object", ""},
    {CODE(CKR_ATTRIBUTE_VALUE_INVALID), Kind::token_failed,
     "the token refuses the value of an attribute", ""},
    {CODE(CKR_ACTION_PROHIBITED), Kind::token_failed, "the object's own policy forbids it", ""},
    {CODE(CKR_WRAPPED_KEY_INVALID), Kind::token_failed, "the wrapped key is damaged", ""},
    {CODE(CKR_WRAPPED_KEY_LEN_RANGE), Kind::token_failed, "the wrapped key has the wrong length",
     ""},
    {CODE(CKR_DATA_INVALID), Kind::token_failed, "the token refuses the data", ""},
    {CODE(CKR_DATA_LEN_RANGE), Kind::token_failed, "the data has the wrong length for this key",
     ""},
    {CODE(CKR_DEVICE_ERROR), Kind::token_failed, "the device failed", kDoctor},
    {CODE(CKR_DEVICE_MEMORY), Kind::token_full, "the device is out of memory", kFull},
    {CODE(CKR_DEVICE_REMOVED), Kind::token_removed, "the token was removed",
     "insert it and run the command again"},
    {CODE(CKR_ENCRYPTED_DATA_INVALID), Kind::token_failed, "the ciphertext is damaged", ""},
    {CODE(CKR_ENCRYPTED_DATA_LEN_RANGE), Kind::token_failed,
     "the ciphertext has the wrong length for this key", ""},
    {CODE(CKR_FUNCTION_CANCELED), Kind::token_failed, "the operation was cancelled", ""},
    {CODE(CKR_FUNCTION_NOT_SUPPORTED), Kind::unsupported, "the module does not have this function",
     kMechanisms},
    {CODE(CKR_KEY_HANDLE_INVALID), Kind::token_failed, "the key is gone",
     "another process may have deleted it: hsmith key list"},
    {CODE(CKR_WRAPPING_KEY_HANDLE_INVALID), Kind::token_failed, "the wrapping key is gone",
     "another process may have deleted it: hsmith key list"},
    {CODE(CKR_UNWRAPPING_KEY_HANDLE_INVALID), Kind::token_failed, "the wrapping key is gone",
     "another process may have deleted it: hsmith key list"},
    {CODE(CKR_KEY_SIZE_RANGE), Kind::unsupported, "the token does not take keys of this size",
     kMechanisms},
    {CODE(CKR_KEY_TYPE_INCONSISTENT), Kind::unsupported, "the key is of another type", ""},
    {CODE(CKR_KEY_FUNCTION_NOT_PERMITTED), Kind::token_failed, "the key was not made for this use",
     "see what it may do with: hsmith key show KEY"},
    {CODE(CKR_KEY_NOT_WRAPPABLE), Kind::token_failed, "the key must not be wrapped", ""},
    {CODE(CKR_KEY_UNEXTRACTABLE), Kind::token_failed, "the key must not leave the token", ""},
    {CODE(CKR_MECHANISM_INVALID), Kind::unsupported, "the token does not have this mechanism",
     kMechanisms},
    {CODE(CKR_MECHANISM_PARAM_INVALID), Kind::unsupported,
     "the token does not take these parameters of the mechanism", kMechanisms},
    {CODE(CKR_OBJECT_HANDLE_INVALID), Kind::token_failed, "the object is gone or damaged",
     "another process may have deleted it: hsmith key list"},
    {CODE(CKR_OPERATION_ACTIVE), Kind::token_failed, "another operation is still open", ""},
    {CODE(CKR_OPERATION_NOT_INITIALIZED), Kind::token_failed, "the operation was dropped", ""},
    {CODE(CKR_PIN_INCORRECT), Kind::pin_incorrect, "the PIN is wrong",
     "see how many tries are left with: hsmith token info"},
    {CODE(CKR_PIN_INVALID), Kind::pin_invalid, "the token does not take such a PIN", ""},
    {CODE(CKR_PIN_LEN_RANGE), Kind::pin_invalid, "the PIN is too short or too long",
     "see the permitted length with: hsmith token info"},
    {CODE(CKR_PIN_EXPIRED), Kind::pin_expired, "the PIN has expired",
     "set a new one with: hsmith token pin change; the security officer's with: hsmith token pin "
     "change --new-so-pin-source prompt"},
    {CODE(CKR_PIN_LOCKED), Kind::pin_locked, "the PIN is locked",
     "the security officer can set a new one with: hsmith token pin unblock --token LABEL"},
    {CODE(CKR_PIN_TOO_WEAK), Kind::pin_invalid, "the token finds the new PIN too weak", ""},
    {CODE(CKR_SESSION_CLOSED), Kind::token_failed, "the session was closed", kDoctor},
    {CODE(CKR_SESSION_COUNT), Kind::token_failed, "the token has no session left",
     "end other programs that use it"},
    {CODE(CKR_SESSION_HANDLE_INVALID), Kind::token_failed,
     "the session ended, the token may have been removed or reset", "run the command again"},
    {CODE(CKR_SESSION_READ_ONLY), Kind::token_failed, "the session is read-only", ""},
    {CODE(CKR_SESSION_EXISTS), Kind::busy, "another session is open on the token",
     "end other programs that use it"},
    {CODE(CKR_SESSION_READ_ONLY_EXISTS), Kind::busy, "a read-only session is open on the token",
     "end other programs that use it"},
    {CODE(CKR_SESSION_READ_WRITE_SO_EXISTS), Kind::busy,
     "the security officer is logged in on the token", "end other programs that use it"},
    {CODE(CKR_SIGNATURE_INVALID), Kind::token_failed, "the signature does not verify", ""},
    {CODE(CKR_SIGNATURE_LEN_RANGE), Kind::token_failed, "the signature has the wrong length", ""},
    {CODE(CKR_TEMPLATE_INCOMPLETE), Kind::token_failed,
     "the token wants an attribute that was not given", ""},
    {CODE(CKR_TEMPLATE_INCONSISTENT), Kind::token_failed,
     "the token refuses this combination of attributes", ""},
    {CODE(CKR_TOKEN_NOT_PRESENT), Kind::token_removed, "there is no token in the slot",
     "insert it and run the command again"},
    {CODE(CKR_TOKEN_NOT_RECOGNIZED), Kind::token_damaged,
     "the module does not recognise the token: it is being rewritten, or its store is damaged",
     "if it stays so, restore the token's files from a backup"},
    {CODE(CKR_TOKEN_WRITE_PROTECTED), Kind::unsupported, "the token is write-protected", ""},
    {CODE(CKR_USER_ALREADY_LOGGED_IN), Kind::login_failed, "somebody is logged in already", ""},
    {CODE(CKR_USER_NOT_LOGGED_IN), Kind::login_failed, "the token wants a login for this", ""},
    {CODE(CKR_USER_PIN_NOT_INITIALIZED), Kind::pin_not_initialized, "the user PIN is not set",
     "the security officer sets it with: hsmith token pin unblock --token LABEL"},
    {CODE(CKR_USER_TYPE_INVALID), Kind::login_failed,
     "this user may not do it; some tokens want the security officer", ""},
    {CODE(CKR_USER_ANOTHER_ALREADY_LOGGED_IN), Kind::login_failed,
     "another user is logged in on the token", "end other programs that use it"},
    {CODE(CKR_USER_TOO_MANY_TYPES), Kind::login_failed, "too many users are logged in", ""},
    {CODE(CKR_RANDOM_NO_RNG), Kind::unsupported, "the token has no random generator", ""},
    {CODE(CKR_DOMAIN_PARAMS_INVALID), Kind::unsupported, "the token does not have this curve",
     kMechanisms},
    {CODE(CKR_CURVE_NOT_SUPPORTED), Kind::unsupported, "the token does not have this curve",
     kMechanisms},
    {CODE(CKR_BUFFER_TOO_SMALL), Kind::token_failed, "the answer is larger than it may be", ""},
    {CODE(CKR_CRYPTOKI_NOT_INITIALIZED), Kind::token_failed, "the module was shut down", ""},
    {CODE(CKR_FUNCTION_REJECTED), Kind::token_failed, "the request was rejected on the device", ""},
    {CODE(CKR_PUBLIC_KEY_INVALID), Kind::token_failed, "the public key is invalid", ""},
    {CODE(CKR_FIPS_SELF_TEST_FAILED), Kind::token_failed, "the device failed its self-test", ""},
    {CODE(CKR_LIBRARY_LOAD_FAILED), Kind::module_load, "the module misses a library of its own",
     ""},
};

#undef CODE

const ReturnCode* find(CK_RV rv) {
  const auto* entry = std::find_if(std::begin(kCodes), std::end(kCodes),
                                   [rv](const ReturnCode& code) { return code.value == rv; });
  return entry == std::end(kCodes) ? nullptr : entry;
}

}  // namespace

std::string return_code_name(CK_RV rv) {
  if (rv == CKR_OK) return "CKR_OK";
  const ReturnCode* code = find(rv);
  return code != nullptr ? code->name : number_name(rv);
}

Error error_of(CK_RV rv, std::string_view function) {
  const ReturnCode* code = find(rv);
  const std::string name = return_code_name(rv);
  if (code == nullptr) {
    return Error(Kind::token_failed,
                 fmt::format("the token answers with an unknown code ({} from {})", name, function))
        .ckr(name);
  }
  return Error(code->kind, fmt::format("{} ({} from {})", code->meaning, name, function))
      .hint(code->remedy)
      .ckr(name);
}

void check(CK_RV rv, std::string_view function) {
  if (rv != CKR_OK) throw error_of(rv, function);
}

}  // namespace hsmith::pkcs11
