#include "src/ossl/key_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/base/secret.h"

namespace hsmith::ossl {
namespace {

// What is locked must fit into the 8 MiB that Debian gives an ordinary user.
constexpr std::size_t kHeap = 5u << 20;
constexpr std::size_t kStack = 256u << 10;

void* allocate(std::size_t size, const char*, int) { return std::malloc(size); }

void wipe_and_free(void* memory, const char*, int) {
  if (memory != nullptr) wipe(memory, malloc_usable_size(memory));
  std::free(memory);
}

// Never in place: what a shrunk or moved block leaves behind must be wiped.
void* reallocate(void* memory, std::size_t size, const char* file, int line) {
  if (size == 0) {
    wipe_and_free(memory, file, line);
    return nullptr;
  }
  void* moved = std::malloc(size);
  if (moved == nullptr || memory == nullptr) return moved;
  std::memcpy(moved, memory, std::min(size, malloc_usable_size(memory)));
  wipe_and_free(memory, file, line);
  return moved;
}

std::string lock_range(std::uintptr_t start, std::uintptr_t end) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  start = start / page * page;
  if (mlock(reinterpret_cast<void*>(start), end - start) == 0) return "";
  return std::string("mlock: ") + std::strerror(errno);
}

// Makes the kernel give the stack pages that are going to be used, and locks them.
__attribute__((noinline)) std::string lock_stack() {
  volatile unsigned char pages[kStack];
  for (std::size_t i = 0; i < kStack; i += 1024) pages[i] = 0;
  const auto start = reinterpret_cast<std::uintptr_t>(&pages[0]);
  return lock_range(start, start + kStack);
}

// The heap is enlarged once, kept in one piece, and locked as a whole; so is the stack below here.
std::string lock_heap_and_stack() {
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_MEMLOCK, &limit);
  }
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, INT32_MAX);
  mallopt(M_MMAP_THRESHOLD, static_cast<int>(2 * kHeap));
  void* volatile enlarges = std::malloc(kHeap);  // volatile: else the compiler leaves both out
  std::free(enlarges);
  const auto top = reinterpret_cast<std::uintptr_t>(sbrk(0));
  const std::string heap = lock_range(top - kHeap, top);
  const std::string stack = lock_stack();
  return heap.empty() ? stack : heap;
}

std::string guard() {
  const bool wipes = CRYPTO_set_mem_functions(allocate, reallocate, wipe_and_free) == 1;
  const std::string problem = lock_heap_and_stack();
  return wipes ? problem : "OpenSSL was used before";
}

}  // namespace

std::string guard_key_memory() {
  static const std::string problem = guard();
  return problem;
}

}  // namespace hsmith::ossl
