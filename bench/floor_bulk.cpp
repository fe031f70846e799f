// The floor for many signatures: C_SignInit and C_Sign in a loop, by threads with a session each or
// by processes with a login each. No files, no verification.
//   floor_bulk MODULE PIN rsa|ec LABEL COUNT threads|processes WORKERS
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "bench/token.h"

namespace {

void sign_loop(CK_SESSION_HANDLE session, bool rsa, char* label, long count) {
  const CK_OBJECT_HANDLE key = bench::find_key(session, CKO_PRIVATE_KEY, label);
  bench::Input input;
  unsigned char signature[1024];
  for (long i = 0; i < count; ++i) {
    std::memcpy(input.digest, &i, sizeof i);
    bench::sign(session, key, rsa, input, signature);
  }
}

void in_threads(char** argv, bool rsa, long count, int workers) {
  const CK_SLOT_ID slot = bench::start(argv[1]);
  const CK_SESSION_HANDLE first = bench::open_session(slot);
  bench::log_in(first, argv[2]);
  std::vector<std::thread> threads;
  for (int i = 1; i < workers; ++i)
    threads.emplace_back(
        [&] { sign_loop(bench::open_session(slot), rsa, argv[4], count / workers); });
  sign_loop(first, rsa, argv[4], count - count / workers * (workers - 1));
  for (std::thread& thread : threads) thread.join();
}

// One after the other logs in: SoftHSM rewrites the token then.
void in_processes(char** argv, bool rsa, long count, int workers) {
  void* shared =
      mmap(nullptr, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* lock = static_cast<sem_t*>(shared);
  sem_init(lock, 1, 1);
  for (int i = 0; i < workers; ++i) {
    if (fork() != 0) continue;
    sem_wait(lock);
    const CK_SESSION_HANDLE session = bench::open_session(bench::start(argv[1]));
    bench::log_in(session, argv[2]);
    sem_post(lock);
    sign_loop(session, rsa, argv[4], count / workers);
    _exit(0);
  }
  int status = 0;
  while (wait(&status) > 0) {
    if (status != 0) _exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) return 2;
  const bool rsa = std::strcmp(argv[3], "rsa") == 0;
  const auto run = std::strcmp(argv[6], "threads") == 0 ? in_threads : in_processes;
  run(argv, rsa, std::atol(argv[5]), std::atoi(argv[7]));
  _exit(0);
}
