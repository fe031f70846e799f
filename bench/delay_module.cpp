// A module that passes calls on and lets each wait first, as one behind a network does; and counts
// them. It holds no lock while it waits.
//   HSMITH_DELAY_MODULE   the real module's path
//   HSMITH_DELAY_US       microseconds a call
//   HSMITH_DELAY_COUNT    a file that gets the number of calls, 8 bytes, in this machine's order
#include <atomic>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pkcs11/cryptoki.h"

namespace {

CK_FUNCTION_LIST* real = nullptr;
long delay_us = 0;
std::atomic<std::uint64_t> own_count;
std::atomic<std::uint64_t>* count = &own_count;

void wait() {
  ++*count;
  if (delay_us == 0) return;
  timespec left{delay_us / 1'000'000, delay_us % 1'000'000 * 1000};
  while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) != 0) {
  }
}

template <auto Function>
struct Delayed;
template <typename... Arguments, CK_RV (*CK_FUNCTION_LIST::*Function)(Arguments...)>
struct Delayed<Function> {
  static CK_RV call(Arguments... arguments) {
    wait();
    return (real->*Function)(arguments...);
  }
};

template <auto... Functions>
void delay_all(CK_FUNCTION_LIST& list) {
  ((list.*Functions = Delayed<Functions>::call), ...);
}

void count_in(const char* path) {
  const int file = open(path, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, 8) != 0) return;
  void* shared = mmap(nullptr, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (shared != MAP_FAILED) count = static_cast<std::atomic<std::uint64_t>*>(shared);
}

using L = CK_FUNCTION_LIST;

bool load() {
  const char* path = std::getenv("HSMITH_DELAY_MODULE");
  void* library = path == nullptr ? nullptr : dlopen(path, RTLD_LAZY | RTLD_LOCAL);
  auto get = library == nullptr
                 ? nullptr
                 : reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  if (get == nullptr || get(&real) != CKR_OK) return false;
  if (const char* us = std::getenv("HSMITH_DELAY_US")) delay_us = std::atol(us);
  if (const char* file = std::getenv("HSMITH_DELAY_COUNT")) count_in(file);
  return true;
}

}  // namespace

extern "C" CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  static CK_FUNCTION_LIST delayed;
  if (real == nullptr && !load()) return CKR_GENERAL_ERROR;
  delayed = *real;
  delay_all<&L::C_Initialize, &L::C_Finalize, &L::C_GetInfo, &L::C_GetSlotList, &L::C_GetSlotInfo,
            &L::C_GetTokenInfo, &L::C_GetMechanismList, &L::C_GetMechanismInfo, &L::C_OpenSession,
            &L::C_CloseSession, &L::C_CloseAllSessions, &L::C_GetSessionInfo, &L::C_Login,
            &L::C_Logout, &L::C_CreateObject, &L::C_CopyObject, &L::C_DestroyObject,
            &L::C_GetAttributeValue, &L::C_SetAttributeValue, &L::C_FindObjectsInit,
            &L::C_FindObjects, &L::C_FindObjectsFinal, &L::C_SignInit, &L::C_Sign, &L::C_SignUpdate,
            &L::C_SignFinal, &L::C_VerifyInit, &L::C_Verify, &L::C_DecryptInit, &L::C_Decrypt,
            &L::C_GenerateKeyPair, &L::C_GenerateRandom>(delayed);
  ++*count;
  *list = &delayed;
  return CKR_OK;
}
