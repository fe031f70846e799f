// What a session hands to Cryptoki, and takes from it.
#pragma once

#include <fmt/format.h>

#include "pkcs11/error.h"
#include "pkcs11/names.h"
#include "pkcs11/session.h"

namespace hsmith::pkcs11 {

// Cryptoki takes its input without const. Of nothing at all a module still wants the address
// (SoftHSM 2.6.1 answers CKR_ARGUMENTS_BAD to a null pointer).
inline unsigned char* writable(ByteView bytes) {
  static unsigned char nothing = 0;
  return bytes.empty() ? &nothing : const_cast<unsigned char*>(bytes.data());
}

// What fails with a mechanism names it.
inline void check_with(CK_RV rv, const char* function, const Mechanism& mechanism) {
  if (rv == CKR_OK) return;
  check(rv, fmt::format("{} with {}", function, mechanism_name(mechanism.type)));
}

// One answer of a token's operation: bounded, and not longer than the buffer it was put into.
template <typename Ask>
Bytes answer_of(const char* function, Ask ask) {
  Bytes out(4096);
  CK_ULONG size = out.size();
  CK_RV rv = ask(out.data(), &size);
  if (rv == CKR_BUFFER_TOO_SMALL && size > out.size() && size <= kLargestAnswer) {
    out.resize(size);
    rv = ask(out.data(), &size);
  }
  check(rv, function);
  if (size > out.size()) {
    throw Error(Kind::token_failed,
                fmt::format("the token's answer is longer than announced ({})", function));
  }
  out.resize(size);
  return out;
}

}  // namespace hsmith::pkcs11
