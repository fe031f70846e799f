// The floor for one cold signature: nothing but the PKCS#11 calls that it takes, and the durable
// write of the result. No checks, no search for the token: the first one counts.
//   floor_sign MODULE PIN rsa|ec LABEL DIGESTFILE OUTPUT
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include "pkcs11/cryptoki.h"

namespace {

CK_FUNCTION_LIST* functions = nullptr;

void must(CK_RV rv, const char* what) {
  if (rv == CKR_OK) return;
  std::fprintf(stderr, "%s: 0x%lx\n", what, rv);
  std::exit(1);
}

CK_OBJECT_HANDLE find_key(CK_SESSION_HANDLE session, char* label) {
  CK_OBJECT_CLASS wanted = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE attributes[] = {{CKA_CLASS, &wanted, sizeof wanted},
                               {CKA_LABEL, label, std::strlen(label)}};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  CK_ULONG count = 0;
  must(functions->C_FindObjectsInit(session, attributes, 2), "C_FindObjectsInit");
  must(functions->C_FindObjects(session, &key, 1, &count), "C_FindObjects");
  must(functions->C_FindObjectsFinal(session), "C_FindObjectsFinal");
  return key;
}

// DigestInfo of SHA-256 before the digest, for RSA PKCS#1 v1.5.
constexpr unsigned char kSha256Info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                         0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  const bool rsa = std::strcmp(argv[3], "rsa") == 0;
  unsigned char input[sizeof kSha256Info + 32];
  std::memcpy(input, kSha256Info, sizeof kSha256Info);
  unsigned char* digest = input + sizeof kSha256Info;
  const int file = open(argv[5], O_RDONLY);
  if (file < 0 || read(file, digest, 32) != 32) return 2;

  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return 2;
  auto get_list = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  must(get_list(&functions), "C_GetFunctionList");
  must(functions->C_Initialize(nullptr), "C_Initialize");
  CK_SLOT_ID slots[64];
  CK_ULONG count = 64;
  must(functions->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
  CK_SESSION_HANDLE session = 0;
  must(functions->C_OpenSession(slots[0], CKF_SERIAL_SESSION, nullptr, nullptr, &session),
       "C_OpenSession");
  must(functions->C_Login(session, CKU_USER, reinterpret_cast<unsigned char*>(argv[2]),
                          std::strlen(argv[2])),
       "C_Login");
  CK_MECHANISM mechanism{rsa ? CKM_RSA_PKCS : CKM_ECDSA, nullptr, 0};
  must(functions->C_SignInit(session, &mechanism, find_key(session, argv[4])), "C_SignInit");
  unsigned char signature[1024];
  CK_ULONG size = sizeof signature;
  must(functions->C_Sign(session, rsa ? input : digest, rsa ? sizeof input : 32, signature, &size),
       "C_Sign");
  const int out = open(argv[6], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (write(out, signature, size) != static_cast<ssize_t>(size) || fsync(out) != 0) return 1;
  _exit(0);
}
