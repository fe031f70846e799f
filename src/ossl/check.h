// From OpenSSL's return values and error queue to hsmith::Error.
#pragma once

#include <string_view>

#include "src/base/bytes.h"
#include "src/base/error.h"

namespace hsmith::ossl {

// Forgets errors that others left in this thread's queue (SoftHSM leaves four after C_Initialize),
// and an exception that was kept and that nobody asked for.
// To be called before an operation whose reason shall be reported.
void clear_errors();

// Throws when `ok` is false: the exception that a RemoteKey threw inside OpenSSL, if there was one,
// as it was; else an Error of `kind` with `doing` and the first reason in the error queue.
void check(bool ok, std::string_view doing, Kind kind = Kind::internal);

// The pointer, or the same exception when it is null.
template <typename T>
T* check_ptr(T* pointer, std::string_view doing, Kind kind = Kind::internal) {
  check(pointer != nullptr, doing, kind);
  return pointer;
}

// Keeps the exception in flight for the next check(): an exception must not cross OpenSSL's frames.
void keep_current_exception() noexcept;

// DER of an OpenSSL object: der_of(i2d_X509, certificate).
template <typename I2d, typename T>
Bytes der_of(I2d i2d, T* object) {
  const int size = i2d(object, nullptr);
  check(size >= 0, "encode as DER");
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* out = der.data();
  check(i2d(object, &out) == size, "encode as DER");
  return der;
}

}  // namespace hsmith::ossl
