// The floor for recovering keys in one login: a decryption on the token and a PKCS#12 file for
// each, by Cryptoki and OpenSSL alone. No checks, nothing is read back.
//   floor_recover MODULE PIN LABEL CERTIFICATE.pem COUNT FOLDER
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <string>

#include "pkcs11/cryptoki.h"

namespace {

CK_FUNCTION_LIST* functions = nullptr;

void must(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

CK_OBJECT_HANDLE find_key(CK_SESSION_HANDLE session, char* label) {
  CK_OBJECT_CLASS wanted = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE attributes[] = {{CKA_CLASS, &wanted, sizeof wanted},
                               {CKA_LABEL, label, std::strlen(label)}};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  CK_ULONG count = 0;
  must(functions->C_FindObjectsInit(session, attributes, 2) == CKR_OK &&
           functions->C_FindObjects(session, &key, 1, &count) == CKR_OK && count == 1 &&
           functions->C_FindObjectsFinal(session) == CKR_OK,
       "find the key");
  return key;
}

// What the token is given: a content key under RSA-OAEP with SHA-1, which SoftHSM can.
std::string encrypted(X509* certificate) {
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(X509_get0_pubkey(certificate), nullptr);
  unsigned char key[32] = {1, 2, 3};
  unsigned char out[1024];
  std::size_t size = sizeof out;
  must(EVP_PKEY_encrypt_init(context) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_encrypt(context, out, &size, key, sizeof key) == 1,
       "encrypt");
  EVP_PKEY_CTX_free(context);
  return {reinterpret_cast<char*>(out), size};
}

void decrypt(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, std::string& ciphertext) {
  CK_RSA_PKCS_OAEP_PARAMS parameters{CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, nullptr, 0};
  CK_MECHANISM mechanism{CKM_RSA_PKCS_OAEP, &parameters, sizeof parameters};
  CK_BYTE out[512];
  CK_ULONG size = sizeof out;
  must(functions->C_DecryptInit(session, &mechanism, key) == CKR_OK &&
           functions->C_Decrypt(session, reinterpret_cast<CK_BYTE*>(ciphertext.data()),
                                ciphertext.size(), out, &size) == CKR_OK,
       "decrypt");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  must(library != nullptr, "load the module");
  auto get_list = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  must(get_list(&functions) == CKR_OK && functions->C_Initialize(nullptr) == CKR_OK, "start");
  CK_SLOT_ID slots[64];
  CK_ULONG slot_count = 64;
  CK_SESSION_HANDLE session = 0;
  must(functions->C_GetSlotList(CK_TRUE, slots, &slot_count) == CKR_OK &&
           functions->C_OpenSession(slots[0], CKF_SERIAL_SESSION, nullptr, nullptr, &session) ==
               CKR_OK &&
           functions->C_Login(session, CKU_USER, reinterpret_cast<CK_UTF8CHAR*>(argv[2]),
                              std::strlen(argv[2])) == CKR_OK,
       "log in");
  const CK_OBJECT_HANDLE key = find_key(session, argv[3]);
  FILE* file = std::fopen(argv[4], "r");
  X509* certificate = PEM_read_X509(file, nullptr, nullptr, nullptr);
  std::fclose(file);
  std::string ciphertext = encrypted(certificate);
  EVP_PKEY* user_key = EVP_EC_gen("P-256");
  X509* user = X509_dup(certificate);
  X509_set_pubkey(user, user_key);
  X509_sign(user, user_key, EVP_sha256());
  for (int i = 0; i < std::atoi(argv[5]); ++i) {
    decrypt(session, key, ciphertext);
    PKCS12* pfx = PKCS12_create("other", "user", user_key, user, nullptr, 0, 0, 0, 0, 0);
    FILE* output =
        std::fopen((std::string(argv[6]) + "/" + std::to_string(i) + ".p12").c_str(), "w");
    must(output != nullptr && i2d_PKCS12_fp(output, pfx) == 1, "write");
    std::fclose(output);
    PKCS12_free(pfx);
  }
}
