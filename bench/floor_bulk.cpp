// The floor for many signatures: C_SignInit and C_Sign in a loop, by threads with a session each or
// by processes with a login each. No verification. With LIST and FOLDER the first COUNT files of
// the list are read and hashed, and each signature is written durably, as hsmith does.
//   floor_bulk MODULE PIN rsa|ec LABEL COUNT threads|processes WORKERS LOG [LIST FOLDER]
#include <fstream>
#include <openssl/evp.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

#include "bench/durable.h"

namespace {

struct Job {
  char* module;
  char* pin;
  bool rsa;
  char* label;
  std::size_t count;
  std::size_t workers;
  std::string log;
  std::vector<std::string> files;  // none: what is signed is a number
  std::string folder;
};

void hash_file(const std::string& path, bench::Input& input) {
  static thread_local unsigned char block[65536];
  EVP_MD_CTX* hash = EVP_MD_CTX_new();
  EVP_DigestInit_ex(hash, EVP_sha256(), nullptr);
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  bench::must_do(file >= 0, "read");
  for (ssize_t got = 0; (got = read(file, block, sizeof block)) > 0;)
    EVP_DigestUpdate(hash, block, static_cast<std::size_t>(got));
  close(file);
  EVP_DigestFinal_ex(hash, input.digest, nullptr);
  EVP_MD_CTX_free(hash);
}

// Each worker takes the next number that no other one has: its own, and every WORKERS-th after it.
void sign_share(const Job& job, CK_SESSION_HANDLE session, std::size_t worker) {
  const CK_OBJECT_HANDLE key = bench::find_key(session, CKO_PRIVATE_KEY, job.label);
  bench::Input input;
  unsigned char signature[1024];
  for (std::size_t i = worker; i < job.count; i += job.workers) {
    if (job.files.empty()) {
      std::memcpy(input.digest, &i, sizeof i);
      bench::sign(session, key, job.rsa, input, signature);
    } else {
      hash_file(job.files[i], input);
      const CK_ULONG size = bench::sign(session, key, job.rsa, input, signature);
      bench::write_file(job.folder + "/" + std::to_string(i), signature, size);
    }
  }
}

void log_in(const Job& job, CK_SESSION_HANDLE session) {
  bench::log_entry(job.log, "login\n", bench::Flush::yes);
  bench::log_in(session, job.pin);
}

void in_threads(const Job& job) {
  const CK_SLOT_ID slot = bench::start(job.module);
  const CK_SESSION_HANDLE first = bench::open_session(slot);
  log_in(job, first);
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < job.workers; ++i)
    threads.emplace_back([&, i] { sign_share(job, bench::open_session(slot), i); });
  sign_share(job, first, 0);
  for (std::thread& thread : threads) thread.join();
}

// One after the other logs in: SoftHSM rewrites the token then.
void in_processes(const Job& job) {
  void* shared =
      mmap(nullptr, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* lock = static_cast<sem_t*>(shared);
  sem_init(lock, 1, 1);
  for (std::size_t i = 0; i < job.workers; ++i) {
    if (fork() != 0) continue;
    sem_wait(lock);
    const CK_SESSION_HANDLE session = bench::open_session(bench::start(job.module));
    log_in(job, session);
    sem_post(lock);
    sign_share(job, session, i);
    _exit(0);
  }
  int status = 0;
  while (wait(&status) > 0) {
    if (status != 0) _exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 9 && argc != 11) return 2;
  Job job{.module = argv[1],
          .pin = argv[2],
          .rsa = std::strcmp(argv[3], "rsa") == 0,
          .label = argv[4],
          .count = static_cast<std::size_t>(std::atol(argv[5])),
          .workers = static_cast<std::size_t>(std::atol(argv[7])),
          .log = argv[8],
          .files = {},
          .folder = {}};
  if (argc == 11) {
    std::ifstream list(argv[9]);
    for (std::string file; std::getline(list, file);) job.files.push_back(file);
    bench::must_do(job.files.size() >= job.count, "read the list");
    job.folder = argv[10];
  }
  std::strcmp(argv[6], "threads") == 0 ? in_threads(job) : in_processes(job);
  _exit(0);
}
