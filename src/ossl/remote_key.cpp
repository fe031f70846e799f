#include "src/ossl/remote_key.h"

#include <mutex>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "src/ossl/check.h"
#include "src/ossl/provider.h"

namespace hsmith::ossl {

using Provider = std::unique_ptr<OSSL_PROVIDER, Deleter<OSSL_PROVIDER_unload>>;

// A library context of our own: SoftHSM uses the same libcrypto in the same process, and its fetch
// of "RSA" in the default context must not reach us. Destroyed from the last member to the first.
struct Library {
  LibraryContext context;
  Provider standard;  // digests and encoders for our keys
  Provider own;
};

namespace {

const OSSL_ALGORITHM* query(void*, int operation, int* do_not_cache) noexcept {
  *do_not_cache = 0;
  if (operation == OSSL_OP_KEYMGMT) return keymgmt_algorithms();
  if (operation == OSSL_OP_SIGNATURE) return signature_algorithms();
  return nullptr;
}

int start_provider(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH** out,
                   void** context) noexcept {
  static const OSSL_DISPATCH functions[] = {
      entry<OSSL_FUNC_provider_query_operation_fn>(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
      {0, nullptr}};
  *out = functions;
  *context = nullptr;
  return 1;
}

// The one library context, for as long as a key is in it.
std::shared_ptr<Library> library() {
  static std::mutex mutex;
  static std::weak_ptr<Library> current;
  const std::lock_guard lock(mutex);
  if (auto existing = current.lock()) return existing;

  const char* doing = "load hsmith's OpenSSL provider";
  auto made = std::make_shared<Library>();
  made->context.reset(check_ptr(OSSL_LIB_CTX_new(), doing));
  OSSL_LIB_CTX* context = made->context.get();
  check(OSSL_PROVIDER_add_builtin(context, kProviderName, start_provider) == 1, doing);
  made->standard.reset(check_ptr(OSSL_PROVIDER_load(context, "default"), doing));
  made->own.reset(check_ptr(OSSL_PROVIDER_load(context, kProviderName), doing));
  current = made;
  return made;
}

const char* openssl_name(KeyAlgorithm algorithm) {
  if (algorithm == KeyAlgorithm::rsa) return "RSA";
  return algorithm == KeyAlgorithm::ec ? "EC" : "ED25519";
}

}  // namespace

PKey as_pkey(std::shared_ptr<RemoteKey> key) {
  clear_errors();
  const char* doing = "hand a key to OpenSSL";
  const char* type = openssl_name(algorithm_of(key->public_key()));
  const KeyData data{library(), std::move(key)};
  const KeyData* address = &data;
  OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(kKeyDataParam, &address, sizeof address),
                         OSSL_PARAM_construct_end()};
  const PKeyContext context(check_ptr(
      EVP_PKEY_CTX_new_from_name(data.library->context.get(), type, kProviderProperties), doing));
  EVP_PKEY* made = nullptr;
  check(EVP_PKEY_fromdata_init(context.get()) == 1, doing);
  check(EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, params) == 1, doing);
  return PKey(made);
}

}  // namespace hsmith::ossl
