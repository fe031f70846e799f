#include <cstdio>
#include <unistd.h>

#include "cli/app.h"

int main(int argc, char** argv) {
  const int status = hsmith::cli::run_app(argc, argv);
  std::fflush(nullptr);
  // No exit handlers: a module's may crash after the result was told, and OpenSSL's give memory
  // back piece by piece for as long as a signature takes.
#ifdef __SANITIZE_ADDRESS__
  return status;  // LeakSanitizer looks when the handlers run
#else
  _exit(status);
#endif
}
