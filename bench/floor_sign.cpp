// The floor for one cold signature: nothing but the PKCS#11 calls that it takes, and the durable
// writes that hsmith makes: the login in a log before it happens, the signature in the log, and the
// result.
//   floor_sign MODULE PIN rsa|ec LABEL DIGESTFILE OUTPUT
#include "bench/durable.h"

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  const bool rsa = std::strcmp(argv[3], "rsa") == 0;
  const std::string log = std::string(argv[6]) + ".log";
  bench::Input input;
  const int file = open(argv[5], O_RDONLY);
  if (file < 0 || read(file, input.digest, 32) != 32) return 2;
  const CK_SLOT_ID slot = bench::start(argv[1]);
  const CK_SESSION_HANDLE session = bench::open_session(slot);
  bench::log_entry(log, "login\n", bench::Flush::yes);
  bench::log_in(session, argv[2]);
  unsigned char signature[1024];
  const CK_OBJECT_HANDLE key = bench::find_key(session, CKO_PRIVATE_KEY, argv[4]);
  bench::log_entry(log, "sign\n", bench::Flush::no);
  const CK_ULONG size = bench::sign(session, key, rsa, input, signature);
  bench::write_file(argv[6], signature, size);
  _exit(0);
}
