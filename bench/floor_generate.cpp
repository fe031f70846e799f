// The floor for many P-256 key pairs in one session. As hsmith does, it reads the point and sets
// the ids afterwards; it checks nothing. With a STATE, the beginning of a path, it also makes the
// durable writes that hsmith makes for each key: log and journal. Without, it fills large tokens.
// With "listing" it first reads the names of all that is there.
//   floor_generate MODULE PIN PREFIX FIRST COUNT [STATE [listing]]
#include "bench/durable.h"

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

// An intent that is written down before, told what was made, and struck out after.
void generate_on_record(CK_SESSION_HANDLE session, const std::string& label,
                        const std::string& state) {
  const std::string log = state + ".log";
  const std::string intent = state + "." + label;
  bench::log_entry(log, "begin\n", bench::Flush::yes);
  bench::write_file(intent, label.data(), label.size());
  const Pair pair = generate(session, label);
  bench::write_file(intent, label.data(), label.size());
  give_id(session, pair);
  bench::log_entry(log, "done\n", bench::Flush::yes);
  const int folder = open(state.substr(0, state.rfind('/')).c_str(), O_RDONLY | O_DIRECTORY);
  bench::must_do(unlink(intent.c_str()) == 0 && fsync(folder) == 0, "strike out");
  close(folder);
}

void read_names(CK_SESSION_HANDLE session) {
  for (const CK_OBJECT_HANDLE object : bench::all_objects(session)) {
    unsigned char label[256];
    unsigned char id[256];
    CK_ATTRIBUTE names[] = {{CKA_LABEL, label, sizeof label}, {CKA_ID, id, sizeof id}};
    bench::must(bench::functions->C_GetAttributeValue(session, object, names, 2),
                "C_GetAttributeValue");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6 || argc > 8) return 2;
  const CK_SESSION_HANDLE session = bench::open_session(bench::start(argv[1]), CKF_RW_SESSION);
  bench::log_in(session, argv[2]);
  if (argc == 8) read_names(session);
  const long first = std::atol(argv[4]);
  for (long i = first; i < first + std::atol(argv[5]); ++i) {
    const std::string label = argv[3] + std::to_string(i);
    if (argc >= 7) {
      generate_on_record(session, label, argv[6]);
    } else {
      give_id(session, generate(session, label));
    }
  }
  _exit(0);
}
