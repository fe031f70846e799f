// The floor for a list of all objects: one search, one call an object with all attributes, shared
// among sessions; and the login in a log before it happens.
//   floor_list MODULE PIN SESSIONS LOG
#include <array>
#include <thread>
#include <vector>

#include "bench/durable.h"

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

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const auto sessions = static_cast<std::size_t>(std::atoi(argv[3]));
  const CK_SLOT_ID slot = bench::start(argv[1]);
  const CK_SESSION_HANDLE first = bench::open_session(slot);
  bench::log_entry(argv[4], "login\n", bench::Flush::yes);
  bench::log_in(first, argv[2]);
  const std::vector<CK_OBJECT_HANDLE> objects = bench::all_objects(first);
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < sessions; ++i)
    threads.emplace_back([&, i] { read_share(bench::open_session(slot), objects, i, sessions); });
  read_share(first, objects, 0, sessions);
  for (std::thread& thread : threads) thread.join();
  std::printf("%zu\n", objects.size());
  std::fflush(stdout);
  _exit(0);
}
