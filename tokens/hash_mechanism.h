// Digests as PKCS#11 names them inside the parameters of PSS and OAEP.
#pragma once

#include "pkcs11/cryptoki.h"
#include "src/ossl/algorithms.h"

namespace hsmith::tokens {

struct HashMechanism {
  const char* digest;  // ossl::DigestType's name
  CK_MECHANISM_TYPE hash;
  CK_RSA_PKCS_MGF_TYPE mgf;
};

// Throws unsupported for a digest that PKCS#11 has no number for.
const HashMechanism& hash_mechanism(const ossl::DigestType& digest);

}  // namespace hsmith::tokens
