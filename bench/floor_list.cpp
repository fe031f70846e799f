// The floor for a list of all objects: one search, one call an object with all attributes, shared
// among sessions.
//   floor_list MODULE PIN SESSIONS
#include <array>
#include <thread>
#include <unistd.h>
#include <vector>

#include "bench/token.h"

namespace {

constexpr std::array<CK_ATTRIBUTE_TYPE, 11> kTypes{
    CKA_CLASS,       CKA_KEY_TYPE, CKA_LABEL,   CKA_ID,        CKA_PRIVATE, CKA_SENSITIVE,
    CKA_EXTRACTABLE, CKA_SIGN,     CKA_DECRYPT, CKA_EC_PARAMS, CKA_MODULUS};
constexpr std::size_t kRoom = 2048;

void read_share(CK_SESSION_HANDLE session, const std::vector<CK_OBJECT_HANDLE>& objects,
                std::size_t first, std::size_t step) {
  std::vector<unsigned char> room(kTypes.size() * kRoom);
  for (std::size_t i = first; i < objects.size(); i += step) {
    std::array<CK_ATTRIBUTE, kTypes.size()> asked;
    for (std::size_t k = 0; k < kTypes.size(); ++k)
      asked[k] = {kTypes[k], room.data() + k * kRoom, kRoom};
    // What is not there makes the call fail, but all else is filled.
    bench::functions->C_GetAttributeValue(session, objects[i], asked.data(), asked.size());
  }
}

std::vector<CK_OBJECT_HANDLE> all_objects(CK_SESSION_HANDLE session) {
  std::vector<CK_OBJECT_HANDLE> objects;
  CK_ULONG count = 0;
  bench::must(bench::functions->C_FindObjectsInit(session, nullptr, 0), "C_FindObjectsInit");
  do {
    std::array<CK_OBJECT_HANDLE, 1024> batch;
    bench::must(bench::functions->C_FindObjects(session, batch.data(), batch.size(), &count),
                "C_FindObjects");
    objects.insert(objects.end(), batch.begin(), batch.begin() + static_cast<ptrdiff_t>(count));
  } while (count == 1024);
  bench::must(bench::functions->C_FindObjectsFinal(session), "C_FindObjectsFinal");
  return objects;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto sessions = static_cast<std::size_t>(std::atoi(argv[3]));
  const CK_SLOT_ID slot = bench::start(argv[1]);
  const CK_SESSION_HANDLE first = bench::open_session(slot);
  bench::log_in(first, argv[2]);
  const std::vector<CK_OBJECT_HANDLE> objects = all_objects(first);
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < sessions; ++i)
    threads.emplace_back([&, i] { read_share(bench::open_session(slot), objects, i, sessions); });
  read_share(first, objects, 0, sessions);
  for (std::thread& thread : threads) thread.join();
  std::printf("%zu\n", objects.size());
  std::fflush(stdout);
  _exit(0);
}
