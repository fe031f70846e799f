// Cryptoki's types and constants: p11-kit's header, and what it lacks.
#pragma once

#include <p11-kit/pkcs11.h>

// PKCS#11 3.0 mechanisms, section 6 of "PKCS #11 Cryptographic Token Interface Current Mechanisms".
#ifndef CKM_AES_KEY_WRAP_KWP
#define CKM_AES_KEY_WRAP_KWP 0x210BUL
#endif

namespace hsmith::pkcs11 {

// C_Initialize's argument with the initialisation string of modules that want one. NSS softokn
// reads it where everybody else has pReserved, and has a pReserved of its own behind it.
struct InitializeArguments {
  CK_C_INITIALIZE_ARGS standard;
  void* nss_reserved;
};

}  // namespace hsmith::pkcs11
