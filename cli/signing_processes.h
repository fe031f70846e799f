// Workers that are processes: for modules whose threads wait for each other (quirks.h).
#pragma once

#include <sys/types.h>

#include "cli/bulk_signing.h"

namespace hsmith::cli {

// Processes that are forked before the module is loaded (what a module has does not survive a fork)
// and wait. Those that are never told to go end without having touched the token.
class SigningProcesses {
 public:
  // In each process `make_worker` opens the token; it gets what go() was given.
  using MakeTold = std::function<SignFile(const std::string& told)>;

  // Throws io when a process cannot be started.
  SigningProcesses(unsigned count, std::span<const SigningTask> tasks, const MakeTold& make_worker);
  ~SigningProcesses();
  SigningProcesses(const SigningProcesses&) = delete;

  std::size_t count() const { return children_.size(); }
  std::shared_ptr<Board> board() const { return board_; }
  void go(const std::string& told);
  // Reads the results of one process until it ends. Returns why it could not work, if so. What it
  // had begun when it was killed has failed.
  std::optional<Error> collect(std::size_t child,
                               const std::function<void(std::size_t, SigningResult)>& done);

 private:
  struct Child {
    pid_t pid = -1;
    Descriptor orders;
    Descriptor results;
  };

  std::shared_ptr<Board> board_;
  std::vector<Child> children_;
};

}  // namespace hsmith::cli
