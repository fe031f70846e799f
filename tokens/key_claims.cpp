#include "tokens/key_claims.h"

namespace hsmith::tokens {
namespace {

constexpr std::pair<const char*, CK_ATTRIBUTE_TYPE> kAttributes[] = {
    {"private", CKA_PRIVATE},
    {"sensitive", CKA_SENSITIVE},
    {"extractable", CKA_EXTRACTABLE},
    {"always_sensitive", CKA_ALWAYS_SENSITIVE},
    {"never_extractable", CKA_NEVER_EXTRACTABLE},
    {"local", CKA_LOCAL},
    {"wrap_with_trusted", CKA_WRAP_WITH_TRUSTED},
    {"modifiable", CKA_MODIFIABLE},
    {"copyable", CKA_COPYABLE},
    {"always_authenticate", CKA_ALWAYS_AUTHENTICATE},
    {"sign", CKA_SIGN},
    {"encrypt", CKA_ENCRYPT},
    {"decrypt", CKA_DECRYPT},
    {"derive", CKA_DERIVE},
    {"wrap", CKA_WRAP},
    {"unwrap", CKA_UNWRAP}};

}  // namespace

KeyClaims claims_of(const OpenToken& token, CK_OBJECT_HANDLE key) {
  std::vector<CK_ATTRIBUTE_TYPE> types;
  for (const auto& [name, type] : kAttributes) types.push_back(type);
  const pkcs11::Attributes is = token.session->get(key, types);
  KeyClaims claims;
  for (const auto& [name, type] : kAttributes) {
    if (const auto flag = is.flag(type)) claims.emplace_back(name, *flag);
  }
  return claims;
}

Claim claim_named(const KeyClaims& claims, std::string_view name) {
  for (const auto& [known, value] : claims) {
    if (known == name) return value;
  }
  return std::nullopt;
}

}  // namespace hsmith::tokens
