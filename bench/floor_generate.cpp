// The floor for many P-256 key pairs in one session. As hsmith does, it reads the point and sets
// the ids afterwards; it neither checks nor logs anything. Also how the large tokens are filled.
//   floor_generate MODULE PIN PREFIX FIRST COUNT
#include <string>
#include <unistd.h>

#include "bench/token.h"

namespace {

struct Pair {
  CK_OBJECT_HANDLE public_key;
  CK_OBJECT_HANDLE private_key;
};

Pair generate(CK_SESSION_HANDLE session, std::string label) {
  static unsigned char p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
  CK_BBOOL yes = CK_TRUE;
  CK_BBOOL no = CK_FALSE;
  CK_ATTRIBUTE public_key[] = {{CKA_TOKEN, &yes, 1},
                               {CKA_LABEL, label.data(), label.size()},
                               {CKA_VERIFY, &yes, 1},
                               {CKA_EC_PARAMS, p256, sizeof p256}};
  CK_ATTRIBUTE private_key[] = {{CKA_TOKEN, &yes, 1},     {CKA_PRIVATE, &yes, 1},
                                {CKA_SENSITIVE, &yes, 1}, {CKA_EXTRACTABLE, &no, 1},
                                {CKA_SIGN, &yes, 1},      {CKA_LABEL, label.data(), label.size()}};
  CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
  Pair pair{};
  bench::must(bench::functions->C_GenerateKeyPair(session, &mechanism, public_key, 4, private_key,
                                                  6, &pair.public_key, &pair.private_key),
              "C_GenerateKeyPair");
  return pair;
}

// The last 20 bytes of the point stand for its hash.
void give_id(CK_SESSION_HANDLE session, const Pair& pair) {
  unsigned char point[128];
  CK_ATTRIBUTE read{CKA_EC_POINT, point, sizeof point};
  bench::must(bench::functions->C_GetAttributeValue(session, pair.public_key, &read, 1),
              "C_GetAttributeValue");
  CK_ATTRIBUTE id{CKA_ID, point + read.ulValueLen - 20, 20};
  bench::must(bench::functions->C_SetAttributeValue(session, pair.public_key, &id, 1),
              "C_SetAttributeValue");
  bench::must(bench::functions->C_SetAttributeValue(session, pair.private_key, &id, 1),
              "C_SetAttributeValue");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const CK_SESSION_HANDLE session = bench::open_session(bench::start(argv[1]), CKF_RW_SESSION);
  bench::log_in(session, argv[2]);
  const long first = std::atol(argv[4]);
  for (long i = first; i < first + std::atol(argv[5]); ++i)
    give_id(session, generate(session, argv[3] + std::to_string(i)));
  _exit(0);
}
