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

// The templates of C_CreateObject for a software key: private, sensitive, not extractable, every
// usage flag sent. `spec` has an id.
PrivateTemplate imported_private_key_template(const KeySpec& spec, const EVP_PKEY* key);
pkcs11::Template imported_public_key_template(const KeySpec& spec, const EVP_PKEY* key);

// Puts a software key on the token, finds it again, reads its attributes, and proves it by an
// operation that it is made for: one that is extractable, readable or another key is destroyed and
// reported. Whatever a failed import left behind is removed. `made_it` is told the public key
// before anything is there. Its id is the SHA-1 of the public key unless the spec has one.
Key import_key(const OpenToken& token, const KeySpec& spec, const EVP_PKEY* key,
               const std::function<void(EVP_PKEY*)>& made_it);

}  // namespace hsmith::tokens
