// Key management (provider-keymgmt(7)): the public half answers every question.
#include <array>
#include <cstring>
#include <new>
#include <openssl/core_names.h>

#include "src/ossl/provider.h"

namespace hsmith::ossl {
namespace {

KeyData& data_of(void* key) { return *static_cast<KeyData*>(key); }
const KeyData& data_of(const void* key) { return *static_cast<const KeyData*>(key); }

void* new_key(void*) noexcept { return new (std::nothrow) KeyData; }

void free_key(void* key) noexcept { delete static_cast<KeyData*>(key); }

int has(const void* key, int) noexcept { return key != nullptr && data_of(key).key != nullptr; }

int match(const void* a, const void* b, int selection) noexcept {
  if (has(a, selection) == 0 || has(b, selection) == 0) return 0;
  const EVP_PKEY* x = data_of(a).key->public_key();
  const EVP_PKEY* y = data_of(b).key->public_key();
  const bool keys = (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0;
  return (keys ? EVP_PKEY_eq(x, y) : EVP_PKEY_parameters_eq(x, y)) == 1;
}

int get_params(void* key, OSSL_PARAM params[]) noexcept {
  return has(key, 0) != 0 && EVP_PKEY_get_params(data_of(key).key->public_key(), params) == 1;
}

const OSSL_PARAM* gettable_params(void*) noexcept {
  static const OSSL_PARAM list[] = {
      OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, nullptr),
      OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, nullptr),
      OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, nullptr),
      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
      OSSL_PARAM_END};
  return list;
}

// Takes keys from as_pkey() only. OpenSSL also tries to bring other providers' keys in, when it
// compares two keys; it is told no, and then compares the public halves elsewhere.
int import_key(void* key, int, const OSSL_PARAM params[]) noexcept {
  const OSSL_PARAM* param = OSSL_PARAM_locate_const(params, kKeyDataParam);
  const KeyData* from = nullptr;
  if (param == nullptr || param->data_size != sizeof from) return 0;
  std::memcpy(&from, param->data, sizeof from);
  data_of(key) = *from;
  return 1;
}

const OSSL_PARAM* import_types(int) noexcept {
  static const OSSL_PARAM list[] = {OSSL_PARAM_octet_string(kKeyDataParam, nullptr, 0),
                                    OSSL_PARAM_END};
  return list;
}

// The public half may leave. A request that includes the private half must fail: do_sigver_init()
// asks for it first and, were it answered, would sign with the default provider; after a refusal
// it comes back to ours.
int export_key(void* key, int selection, OSSL_CALLBACK* receive, void* receiver) noexcept {
  if (has(key, 0) == 0 || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0) return 0;
  return EVP_PKEY_export(data_of(key).key->public_key(), EVP_PKEY_PUBLIC_KEY, receive, receiver);
}

const OSSL_PARAM* export_types(int selection) noexcept {
  static const OSSL_PARAM list[] = {OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, nullptr, 0),
                                    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, nullptr, 0),
                                    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
                                    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0),
                                    OSSL_PARAM_END};
  return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 ? list : nullptr;
}

// The name of the signature that each kind of key makes.
const char* rsa_operation(int) noexcept { return "RSA"; }
const char* ec_operation(int) noexcept { return "ECDSA"; }
const char* ed25519_operation(int) noexcept { return "ED25519"; }

using Functions = std::array<OSSL_DISPATCH, 12>;

Functions functions_with(OSSL_FUNC_keymgmt_query_operation_name_fn* operation) {
  return {
      entry<OSSL_FUNC_keymgmt_new_fn>(OSSL_FUNC_KEYMGMT_NEW, new_key),
      entry<OSSL_FUNC_keymgmt_free_fn>(OSSL_FUNC_KEYMGMT_FREE, free_key),
      entry<OSSL_FUNC_keymgmt_has_fn>(OSSL_FUNC_KEYMGMT_HAS, has),
      entry<OSSL_FUNC_keymgmt_match_fn>(OSSL_FUNC_KEYMGMT_MATCH, match),
      entry<OSSL_FUNC_keymgmt_get_params_fn>(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_params),
      entry<OSSL_FUNC_keymgmt_gettable_params_fn>(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS,
                                                  gettable_params),
      entry<OSSL_FUNC_keymgmt_import_fn>(OSSL_FUNC_KEYMGMT_IMPORT, import_key),
      entry<OSSL_FUNC_keymgmt_import_types_fn>(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, import_types),
      entry<OSSL_FUNC_keymgmt_export_fn>(OSSL_FUNC_KEYMGMT_EXPORT, export_key),
      entry<OSSL_FUNC_keymgmt_export_types_fn>(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, export_types),
      entry<OSSL_FUNC_keymgmt_query_operation_name_fn>(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME,
                                                       operation),
      {0, nullptr},
  };
}

}  // namespace

const OSSL_ALGORITHM* keymgmt_algorithms() {
  static const Functions rsa = functions_with(rsa_operation);
  static const Functions ec = functions_with(ec_operation);
  static const Functions ed25519 = functions_with(ed25519_operation);
  // With the OIDs: CMS looks algorithms up by them.
  static const OSSL_ALGORITHM list[] = {
      {"RSA:rsaEncryption:1.2.840.113549.1.1.1", kProviderProperties, rsa.data(), ""},
      {"EC:id-ecPublicKey:1.2.840.10045.2.1", kProviderProperties, ec.data(), ""},
      {"ED25519:1.3.101.112", kProviderProperties, ed25519.data(), ""},
      {nullptr, nullptr, nullptr, nullptr}};
  return list;
}

}  // namespace hsmith::ossl
