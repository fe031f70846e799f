// Keys of our own to wrap another one with, and the mechanisms that do it.
#pragma once

#include <optional>

#include "src/base/error.h"
#include "src/ossl/handles.h"
#include "tokens/came_out.h"
#include "tokens/session_objects.h"

namespace hsmith::tokens {

// How a mechanism is used: its key, and the kind of its parameters.
enum class WrapParameters { none, iv16, iv8, counter, gcm, oaep, rsa_aes };
struct Wrapping {
  CK_MECHANISM_TYPE type;
  CK_KEY_TYPE key_type;
  WrapParameters parameters;
};
// nullptr for a mechanism that hsmith does not know how to wrap with.
const Wrapping* wrapping_by(CK_MECHANISM_TYPE type);
pkcs11::Mechanism mechanism_of(const Wrapping& wrapping);

// A session key to wrap with, and what undoes its wrapping here: the AES key's value, where it is
// known, or an RSA key.
struct WrappingKey {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  Secret value;
  ossl::PKey private_half;
  std::optional<Error> failure;  // why the token has none
};
WrappingKey make_wrapping_key(const OpenToken& token, CK_KEY_TYPE type, SessionObjects& objects);
// A session key that anybody may wrap: an AES key of 32 bytes.
CK_OBJECT_HANDLE make_ordinary_key(const OpenToken& token, SessionObjects& objects);

// True when hsmith knows the key, and how to undo the wrapping.
bool can_open(const Wrapping& wrapping, const WrappingKey& by);
// What a wrapping that is undone here holds.
CameOut held_by(const Wrapping& wrapping, const WrappingKey& by, ByteView wrapped,
                EVP_PKEY* public_half);

}  // namespace hsmith::tokens
