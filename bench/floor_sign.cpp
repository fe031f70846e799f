// The floor for one cold signature: nothing but the PKCS#11 calls that it takes, and the durable
// writes that hsmith makes: the login in a log before it happens, and the result.
//   floor_sign MODULE PIN rsa|ec LABEL DIGESTFILE OUTPUT
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include "bench/token.h"

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  const bool rsa = std::strcmp(argv[3], "rsa") == 0;
  bench::Input input;
  const int file = open(argv[5], O_RDONLY);
  if (file < 0 || read(file, input.digest, 32) != 32) return 2;
  const CK_SLOT_ID slot = bench::start(argv[1]);
  const CK_SESSION_HANDLE session = bench::open_session(slot);
  const std::string log = std::string(argv[6]) + ".log";
  const int entries = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (write(entries, "login\n", 6) != 6 || fdatasync(entries) != 0) return 1;
  bench::log_in(session, argv[2]);
  unsigned char signature[1024];
  const CK_OBJECT_HANDLE key = bench::find_key(session, CKO_PRIVATE_KEY, argv[4]);
  const CK_ULONG size = bench::sign(session, key, rsa, input, signature);
  const int out = open(argv[6], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (write(out, signature, size) != static_cast<ssize_t>(size) || fsync(out) != 0) return 1;
  _exit(0);
}
