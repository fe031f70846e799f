// Between a client and a PostgreSQL server: cuts the connection at a certain message.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "tests/support/temporary_folder.h"

namespace hsmith::tests {

// Passes everything on, on a Unix socket of its own, until the client sends something that contains
// `text`: that is passed on when `arrives`, and then both ends are closed.
class CuttingProxy {
 public:
  CuttingProxy(const std::string& url, std::string text, bool arrives);
  ~CuttingProxy();
  const std::string& url() const { return url_; }

 private:
  void serve();
  void pass(int client, int server);

  TemporaryFolder folder_;
  std::string url_;
  std::string text_;
  bool arrives_;
  int listener_ = -1;
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

}  // namespace hsmith::tests
