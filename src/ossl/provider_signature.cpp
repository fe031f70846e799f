// Signatures (provider-signature(7)): hash here, let the RemoteKey sign.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <optional>
#include <string>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/provider.h"
#include "src/ossl/weak_digest.h"

namespace hsmith::ossl {
namespace {

struct SignatureContext {
  std::shared_ptr<RemoteKey> key;
  Scheme scheme;
  int salt = RSA_PSS_SALTLEN_DIGEST;  // as asked for: a length, or one of OpenSSL's negative words
  const DigestType* mgf1 = nullptr;   // as asked for; nullptr: the digest of the scheme
  DigestContext hash;                 // a message is being hashed
};

SignatureContext& context_of(void* context) { return *static_cast<SignatureContext*>(context); }

KeyAlgorithm algorithm_of(const SignatureContext& context) {
  return ossl::algorithm_of(context.key->public_key());
}

Error refusal(const std::string& why) { return Error(Kind::unsupported, "sign: " + why); }

// ---- What OpenSSL's parameters ask for.

std::string_view text_of(const OSSL_PARAM& param) {
  if (param.data_type != OSSL_PARAM_UTF8_STRING || param.data == nullptr) {
    throw refusal(std::string("the parameter ") + param.key + " is neither a number nor a text");
  }
  const char* text = static_cast<const char*>(param.data);
  return {text, strnlen(text, param.data_size)};
}

std::optional<int> number_of(const OSSL_PARAM& param) {
  int number = 0;
  if (param.data_type != OSSL_PARAM_INTEGER) return std::nullopt;
  check(OSSL_PARAM_get_int(&param, &number) == 1, std::string("read the parameter ") + param.key);
  return number;
}

// OpenSSL's names, "SHA256" and "SHA2-256" among them.
const DigestType* digest_of(const OSSL_PARAM& param) {
  std::string name = lower(text_of(param));
  if (name.starts_with("sha2-")) name.erase(3, 2);
  return &digest_named(name);
}

Padding padding_of(const OSSL_PARAM& param) {
  const std::optional<int> number = number_of(param);
  const std::string_view text = number ? std::string_view() : text_of(param);
  if (number == RSA_PKCS1_PADDING || text == OSSL_PKEY_RSA_PAD_MODE_PKCSV15) return Padding::pkcs1;
  if (number == RSA_PKCS1_PSS_PADDING || text == OSSL_PKEY_RSA_PAD_MODE_PSS) return Padding::pss;
  throw refusal("the padding " + (number ? std::to_string(*number) : quoted(text)) +
                " is neither PKCS#1 v1.5 nor PSS");
}

int salt_of(const OSSL_PARAM& param) {
  if (const std::optional<int> number = number_of(param)) return *number;
  const std::string_view text = text_of(param);
  if (text == OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) return RSA_PSS_SALTLEN_DIGEST;
  if (text == OSSL_PKEY_RSA_PSS_SALT_LEN_AUTO) return RSA_PSS_SALTLEN_AUTO;
  if (text == OSSL_PKEY_RSA_PSS_SALT_LEN_MAX) return RSA_PSS_SALTLEN_MAX;
  int length = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (problem != std::errc() || end != text.data() + text.size()) {
    throw refusal("the PSS salt length " + quoted(text) + " is no number");
  }
  return length;
}

// RemoteKey makes PSS signatures of one shape: MGF1 with the same digest, a salt of its length.
// "auto" leaves the length to the signer.
void check_pss(const SignatureContext& context) {
  const DigestType* digest = context.scheme.digest;
  if (context.scheme.padding != Padding::pss || digest == nullptr) return;
  const bool fits = context.salt == RSA_PSS_SALTLEN_DIGEST ||
                    context.salt == RSA_PSS_SALTLEN_AUTO ||
                    context.salt == static_cast<int>(digest->size);
  if (!fits) {
    throw refusal("the PSS salt has to be as long as the digest, " + std::to_string(digest->size) +
                  " bytes, not " +
                  (context.salt == RSA_PSS_SALTLEN_MAX ? "the longest that fits"
                                                       : std::to_string(context.salt)));
  }
  if (context.mgf1 != nullptr && context.mgf1 != digest) {
    throw refusal(std::string("PSS needs the same digest for MGF1 and the message, not ") +
                  context.mgf1->name + " and " + digest->name);
  }
}

void set_digest(SignatureContext& context, const DigestType* digest) {
  if (context.scheme.digest == digest) return;
  if (context.hash != nullptr) throw refusal("the digest cannot change while a message is hashed");
  context.scheme.digest = digest;
}

void apply(SignatureContext& context, const OSSL_PARAM params[]) {
  if (params == nullptr) return;
  const auto find = [&](const char* name) { return OSSL_PARAM_locate_const(params, name); };
  if (const OSSL_PARAM* digest = find(OSSL_SIGNATURE_PARAM_DIGEST)) {
    set_digest(context, digest_of(*digest));
  }
  const OSSL_PARAM* padding = find(OSSL_SIGNATURE_PARAM_PAD_MODE);
  const OSSL_PARAM* salt = find(OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
  const OSSL_PARAM* mgf1 = find(OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
  if ((padding != nullptr || salt != nullptr || mgf1 != nullptr) &&
      algorithm_of(context) != KeyAlgorithm::rsa) {
    throw refusal("only RSA keys have a padding");
  }
  if (padding != nullptr) context.scheme.padding = padding_of(*padding);
  if (salt != nullptr) context.salt = salt_of(*salt);
  if (mgf1 != nullptr) context.mgf1 = digest_of(*mgf1);
  check_pss(context);
}

// ---- Contexts.

void* new_context(void*, const char*) noexcept { return new (std::nothrow) SignatureContext; }

void free_context(void* context) noexcept { delete static_cast<SignatureContext*>(context); }

void* copy_context(void* context) noexcept {
  std::unique_ptr<SignatureContext> copy;
  const int copied = guarded([&] {
    const SignatureContext& from = context_of(context);
    copy.reset(new SignatureContext{from.key, from.scheme, from.salt, from.mgf1, nullptr});
    if (from.hash == nullptr) return true;
    copy->hash.reset(check_ptr(EVP_MD_CTX_new(), "copy a digest"));
    return EVP_MD_CTX_copy_ex(copy->hash.get(), from.hash.get()) == 1;
  });
  return copied == 1 ? copy.release() : nullptr;
}

// `key` is null when a context is started again with the key that it has.
void start(SignatureContext& context, const void* key) {
  if (key != nullptr) context.key = static_cast<const KeyData*>(key)->key;
  if (context.key == nullptr) throw refusal("there is no key");
  context.hash.reset();
  if (algorithm_of(context) == KeyAlgorithm::rsa && context.scheme.padding == Padding::none) {
    context.scheme.padding = Padding::pkcs1;
  }
}

// ---- Signing.

// What a caller must have set, and what no new signature may use.
void check_signable(const SignatureContext& context) {
  const DigestType* digest = context.scheme.digest;
  if (digest == nullptr) throw refusal("no digest is named");
  refuse_weak_digest(context.scheme);
  check_pss(context);
}

// OpenSSL asks twice: first for the size, with no buffer.
bool sign_into(SignatureContext& context, ByteView digest_or_message, unsigned char* out,
               std::size_t* size, std::size_t room) {
  const Bytes signature = context.key->sign(context.scheme, digest_or_message);
  const int most = EVP_PKEY_get_size(context.key->public_key());
  if (signature.empty() || signature.size() > room ||
      signature.size() > static_cast<std::size_t>(most)) {
    throw Error(Kind::token_failed, "sign: the key gave a signature of " +
                                        std::to_string(signature.size()) + " bytes, at most " +
                                        std::to_string(most) + " fit");
  }
  std::copy(signature.begin(), signature.end(), out);
  *size = signature.size();
  return true;
}

bool tell_size(const SignatureContext& context, std::size_t* size) {
  if (context.key == nullptr) throw refusal("there is no key");
  *size = static_cast<std::size_t>(EVP_PKEY_get_size(context.key->public_key()));
  return true;
}

int digest_sign_init(void* context, const char* digest, void* key,
                     const OSSL_PARAM params[]) noexcept {
  return guarded([&] {
    SignatureContext& own = context_of(context);
    start(own, key);
    if (digest != nullptr && *digest != '\0') {
      const OSSL_PARAM name = OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST,
                                                               const_cast<char*>(digest), 0);
      set_digest(own, digest_of(name));
    }
    apply(own, params);
    check_signable(own);
    own.hash.reset(check_ptr(EVP_MD_CTX_new(), "start a digest"));
    return EVP_DigestInit_ex(own.hash.get(), own.scheme.digest->md(), nullptr) == 1;
  });
}

int digest_sign_update(void* context, const unsigned char* data, std::size_t size) noexcept {
  SignatureContext& own = context_of(context);
  return own.hash != nullptr && EVP_DigestUpdate(own.hash.get(), data, size) == 1;
}

int digest_sign_final(void* context, unsigned char* out, std::size_t* size,
                      std::size_t room) noexcept {
  return guarded([&] {
    SignatureContext& own = context_of(context);
    if (out == nullptr) return tell_size(own, size);
    if (own.hash == nullptr) return false;
    check_signable(own);
    Bytes digest(own.scheme.digest->size);
    const bool hashed = EVP_DigestFinal_ex(own.hash.get(), digest.data(), nullptr) == 1;
    own.hash.reset();
    return hashed && sign_into(own, digest, out, size, room);
  });
}

int sign_init(void* context, void* key, const OSSL_PARAM params[]) noexcept {
  return guarded([&] {
    start(context_of(context), key);
    apply(context_of(context), params);
    return true;
  });
}

int sign(void* context, unsigned char* out, std::size_t* size, std::size_t room,
         const unsigned char* digest, std::size_t digest_size) noexcept {
  return guarded([&] {
    SignatureContext& own = context_of(context);
    if (out == nullptr) return tell_size(own, size);
    check_signable(own);
    if (digest_size != own.scheme.digest->size) {
      throw refusal(std::to_string(digest_size) + " bytes are no " + own.scheme.digest->name +
                    " digest");
    }
    return sign_into(own, {digest, digest_size}, out, size, room);
  });
}

int ed25519_init(void* context, const char* digest, void* key, const OSSL_PARAM params[]) noexcept {
  return guarded([&] {
    start(context_of(context), key);
    if (digest != nullptr && *digest != '\0') {
      throw refusal("an Ed25519 key signs the message itself, not its " + std::string(digest) +
                    " digest");
    }
    apply(context_of(context), params);
    return true;
  });
}

int ed25519_sign(void* context, unsigned char* out, std::size_t* size, std::size_t room,
                 const unsigned char* message, std::size_t message_size) noexcept {
  return guarded([&] {
    SignatureContext& own = context_of(context);
    if (out == nullptr) return tell_size(own, size);
    return sign_into(own, {message, message_size}, out, size, room);
  });
}

// ---- What OpenSSL asks back.

bool give_padding(const SignatureContext& context, OSSL_PARAM* param) {
  const bool pss = context.scheme.padding == Padding::pss;
  if (param->data_type == OSSL_PARAM_INTEGER) {
    return OSSL_PARAM_set_int(param, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) == 1;
  }
  return OSSL_PARAM_set_utf8_string(
             param, pss ? OSSL_PKEY_RSA_PAD_MODE_PSS : OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 1;
}

bool give_salt(const SignatureContext& context, OSSL_PARAM* param) {
  if (context.scheme.digest == nullptr) return false;
  const int length = static_cast<int>(context.scheme.digest->size);
  if (param->data_type == OSSL_PARAM_INTEGER) return OSSL_PARAM_set_int(param, length) == 1;
  return OSSL_PARAM_set_utf8_string(param, std::to_string(length).c_str()) == 1;
}

bool give_digest(const DigestType* digest, OSSL_PARAM* param) {
  const char* name = digest != nullptr ? EVP_MD_get0_name(digest->md()) : "";
  return OSSL_PARAM_set_utf8_string(param, name) == 1;
}

bool give_algorithm(const SignatureContext& context, OSSL_PARAM* param) {
  if (algorithm_of(context) != KeyAlgorithm::ed25519) check_signable(context);
  const Bytes der = algorithm_identifier(context.key->public_key(), context.scheme);
  return OSSL_PARAM_set_octet_string(param, der.data(), der.size()) == 1;
}

int get_params(void* context, OSSL_PARAM params[]) noexcept {
  return guarded([&] {
    const SignatureContext& own = context_of(context);
    const auto find = [&](const char* name) { return OSSL_PARAM_locate(params, name); };
    bool ok = true;
    if (auto* param = find(OSSL_SIGNATURE_PARAM_ALGORITHM_ID)) ok &= give_algorithm(own, param);
    if (auto* param = find(OSSL_SIGNATURE_PARAM_PAD_MODE)) ok &= give_padding(own, param);
    if (auto* param = find(OSSL_SIGNATURE_PARAM_PSS_SALTLEN)) ok &= give_salt(own, param);
    if (auto* param = find(OSSL_SIGNATURE_PARAM_DIGEST))
      ok &= give_digest(own.scheme.digest, param);
    if (auto* param = find(OSSL_SIGNATURE_PARAM_MGF1_DIGEST)) {
      ok &= give_digest(own.mgf1 != nullptr ? own.mgf1 : own.scheme.digest, param);
    }
    return ok;
  });
}

const OSSL_PARAM* gettable_params(void*, void*) noexcept {
  static const OSSL_PARAM list[] = {
      OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, nullptr, 0),
      OSSL_PARAM_END};
  return list;
}

int set_params(void* context, const OSSL_PARAM params[]) noexcept {
  return guarded([&] {
    apply(context_of(context), params);
    return true;
  });
}

const OSSL_PARAM* settable_params(void*, void*) noexcept {
  static const OSSL_PARAM list[] = {
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, nullptr, 0), OSSL_PARAM_END};
  return list;
}

}  // namespace

const OSSL_ALGORITHM* signature_algorithms() {
  static const OSSL_DISPATCH with_digest[] = {
      entry<OSSL_FUNC_signature_newctx_fn>(OSSL_FUNC_SIGNATURE_NEWCTX, new_context),
      entry<OSSL_FUNC_signature_freectx_fn>(OSSL_FUNC_SIGNATURE_FREECTX, free_context),
      entry<OSSL_FUNC_signature_dupctx_fn>(OSSL_FUNC_SIGNATURE_DUPCTX, copy_context),
      entry<OSSL_FUNC_signature_sign_init_fn>(OSSL_FUNC_SIGNATURE_SIGN_INIT, sign_init),
      entry<OSSL_FUNC_signature_sign_fn>(OSSL_FUNC_SIGNATURE_SIGN, sign),
      entry<OSSL_FUNC_signature_digest_sign_init_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT,
                                                     digest_sign_init),
      entry<OSSL_FUNC_signature_digest_sign_update_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE,
                                                       digest_sign_update),
      entry<OSSL_FUNC_signature_digest_sign_final_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL,
                                                      digest_sign_final),
      entry<OSSL_FUNC_signature_get_ctx_params_fn>(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, get_params),
      entry<OSSL_FUNC_signature_gettable_ctx_params_fn>(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS,
                                                        gettable_params),
      entry<OSSL_FUNC_signature_set_ctx_params_fn>(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_params),
      entry<OSSL_FUNC_signature_settable_ctx_params_fn>(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS,
                                                        settable_params),
      {0, nullptr}};
  static const OSSL_DISPATCH ed25519[] = {
      entry<OSSL_FUNC_signature_newctx_fn>(OSSL_FUNC_SIGNATURE_NEWCTX, new_context),
      entry<OSSL_FUNC_signature_freectx_fn>(OSSL_FUNC_SIGNATURE_FREECTX, free_context),
      entry<OSSL_FUNC_signature_dupctx_fn>(OSSL_FUNC_SIGNATURE_DUPCTX, copy_context),
      entry<OSSL_FUNC_signature_digest_sign_init_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT,
                                                     ed25519_init),
      entry<OSSL_FUNC_signature_digest_sign_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, ed25519_sign),
      entry<OSSL_FUNC_signature_get_ctx_params_fn>(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, get_params),
      entry<OSSL_FUNC_signature_gettable_ctx_params_fn>(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS,
                                                        gettable_params),
      {0, nullptr}};
  static const OSSL_ALGORITHM list[] = {
      {"RSA:rsaEncryption:1.2.840.113549.1.1.1", kProviderProperties, with_digest, ""},
      {"ECDSA", kProviderProperties, with_digest, ""},
      {"ED25519:1.3.101.112", kProviderProperties, ed25519, ""},
      {nullptr, nullptr, nullptr, nullptr}};
  return list;
}

}  // namespace hsmith::ossl
