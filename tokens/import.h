// Keys that come from outside: put on a token, not extractable from there.
#pragma once

#include <functional>

#include "tokens/keys.h"

namespace hsmith::tokens {

// Attributes that hold private values; wiped when it goes.
struct PrivateTemplate {
  pkcs11::Template attributes;

  PrivateTemplate() = default;
  PrivateTemplate(PrivateTemplate&&) = default;
  PrivateTemplate(const PrivateTemplate&) = delete;
  ~PrivateTemplate();
};

// What C_UnwrapKey takes for a private key: as private_key_template (templates.h).
pkcs11::Template unwrapped_private_key_template(const KeySpec& spec);
// The same key, extractable under a trusted wrapping key, and in no other way.
pkcs11::Template for_backup(pkcs11::Template private_key);

// The templates of C_CreateObject for a software key. The private one is that of an unwrapped key
// and the key's numbers.
PrivateTemplate with_private_numbers(pkcs11::Template attributes, const KeySpec& spec,
                                     const EVP_PKEY* key);
pkcs11::Template imported_public_key_template(const KeySpec& spec, const EVP_PKEY* key);

// Throws unsupported where the token's module takes no key from outside.
void check_takes_keys(const OpenToken& token);

// Puts a software key on the token, finds it again, reads its attributes, and proves it by an
// operation that it is made for: one that is extractable, readable or another key is destroyed and
// reported. Whatever a failed import left behind is removed. `made_it` is told the public key
// before anything is there. Its id is the SHA-1 of the public key unless the spec has one. The
// notes say what the token did not take.
Generated import_key(const OpenToken& token, const KeySpec& spec, const EVP_PKEY* key,
                     const std::function<void(EVP_PKEY*)>& made_it);

}  // namespace hsmith::tokens
