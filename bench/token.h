// What the floors share: the PKCS#11 calls that a job cannot do without, and no checks but that
// they succeed. No search for the token: the first one counts.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <vector>

#include "pkcs11/cryptoki.h"

namespace bench {

inline CK_FUNCTION_LIST* functions = nullptr;

inline void must(CK_RV rv, const char* what) {
  if (rv == CKR_OK) return;
  std::fprintf(stderr, "%s: 0x%lx\n", what, rv);
  std::_Exit(1);
}

inline unsigned char* bytes_of(char* text) { return reinterpret_cast<unsigned char*>(text); }

// Loads and initialises the module; its first slot with a token.
inline CK_SLOT_ID start(const char* module) {
  void* library = dlopen(module, RTLD_LAZY | RTLD_LOCAL);
  auto get_list = library == nullptr
                      ? nullptr
                      : reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  if (get_list == nullptr) must(CKR_GENERAL_ERROR, module);
  must(get_list(&functions), "C_GetFunctionList");
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  must(functions->C_Initialize(&arguments), "C_Initialize");
  CK_SLOT_ID slots[64];
  CK_ULONG count = 64;
  must(functions->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
  return slots[0];
}

inline CK_SESSION_HANDLE open_session(CK_SLOT_ID slot, CK_FLAGS flags = 0) {
  CK_SESSION_HANDLE session = 0;
  must(functions->C_OpenSession(slot, CKF_SERIAL_SESSION | flags, nullptr, nullptr, &session),
       "C_OpenSession");
  return session;
}

inline void log_in(CK_SESSION_HANDLE session, char* pin) {
  must(functions->C_Login(session, CKU_USER, bytes_of(pin), std::strlen(pin)), "C_Login");
}

inline CK_OBJECT_HANDLE find_key(CK_SESSION_HANDLE session, CK_OBJECT_CLASS wanted, char* label) {
  CK_ATTRIBUTE attributes[] = {{CKA_CLASS, &wanted, sizeof wanted},
                               {CKA_LABEL, label, std::strlen(label)}};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  CK_ULONG count = 0;
  must(functions->C_FindObjectsInit(session, attributes, 2), "C_FindObjectsInit");
  must(functions->C_FindObjects(session, &key, 1, &count), "C_FindObjects");
  must(functions->C_FindObjectsFinal(session), "C_FindObjectsFinal");
  return key;
}

inline std::vector<CK_OBJECT_HANDLE> all_objects(CK_SESSION_HANDLE session) {
  std::vector<CK_OBJECT_HANDLE> objects;
  CK_ULONG count = 0;
  must(functions->C_FindObjectsInit(session, nullptr, 0), "C_FindObjectsInit");
  do {
    std::array<CK_OBJECT_HANDLE, 1024> batch;
    must(functions->C_FindObjects(session, batch.data(), batch.size(), &count), "C_FindObjects");
    objects.insert(objects.end(), batch.begin(), batch.begin() + static_cast<ptrdiff_t>(count));
  } while (count == 1024);
  must(functions->C_FindObjectsFinal(session), "C_FindObjectsFinal");
  return objects;
}

// What is signed: for RSA PKCS#1 v1.5 the DigestInfo of SHA-256 stands before the digest.
struct Input {
  unsigned char block[51] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                             0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
  unsigned char* digest = block + 19;
};

// Signs the digest of `input`; the size of the signature.
inline CK_ULONG sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, bool rsa, Input& input,
                     unsigned char (&signature)[1024]) {
  CK_MECHANISM mechanism{rsa ? CKM_RSA_PKCS : CKM_ECDSA, nullptr, 0};
  CK_ULONG size = sizeof signature;
  must(functions->C_SignInit(session, &mechanism, key), "C_SignInit");
  must(
      functions->C_Sign(session, rsa ? input.block : input.digest, rsa ? 51 : 32, signature, &size),
      "C_Sign");
  return size;
}

}  // namespace bench
