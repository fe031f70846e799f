// A mechanism that owns its parameters.
#pragma once

#include "pkcs11/cryptoki.h"
#include "src/base/bytes.h"

namespace hsmith::pkcs11 {

struct Mechanism {
  CK_MECHANISM_TYPE type = 0;
  Bytes parameters;

  // Borrowed for one call.
  CK_MECHANISM view() const {
    return {type, parameters.empty() ? nullptr : const_cast<unsigned char*>(parameters.data()),
            parameters.size()};
  }
};

template <typename Parameters>
Mechanism with_parameters(CK_MECHANISM_TYPE type, const Parameters& parameters) {
  const auto* start = reinterpret_cast<const unsigned char*>(&parameters);
  return {type, Bytes(start, start + sizeof parameters)};
}

}  // namespace hsmith::pkcs11
