// Single objects, read from a token by their handles.
#pragma once

#include <span>

#include "src/base/error.h"
#include "tokens/keys.h"

namespace hsmith::tokens {

// What `work` returns. An error of it is told as "<doing>: <error>".
template <typename Work>
auto while_doing(const std::string& doing, Work work) {
  try {
    return work();
  } catch (const Error& error) {
    throw error.during(doing);
  }
}

// What there is to know of an object whose class is not known yet: CKA_CLASS, and what key_of
// takes. CKA_VALUE is not among it: of a certificate that is its contents, of a private key its
// secret.
std::span<const CK_ATTRIBUTE_TYPE> attributes_of_any_object();

// What a private, public or secret key says of itself, by attributes that were read already. Throws
// token_failed when that is nothing.
Key key_of(const OpenToken& token, CK_OBJECT_HANDLE handle, CK_OBJECT_CLASS object_class,
           const pkcs11::Attributes& is);

// Reads a private, public or secret key in one call. Throws token_failed when the object says
// nothing about itself.
Key read_key(const OpenToken& token, CK_OBJECT_HANDLE handle, CK_OBJECT_CLASS object_class);

// True of a key object that a module began to write and did not finish: without a label, an id and
// what makes it a key.
bool is_half_written(const OpenToken& token, CK_OBJECT_HANDLE handle, CK_OBJECT_CLASS object_class);

TokenCertificate read_certificate(const OpenToken& token, CK_OBJECT_HANDLE handle);

}  // namespace hsmith::tokens
