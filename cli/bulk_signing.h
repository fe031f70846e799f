// Many files signed by several workers, each with a session of its own.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/context.h"
#include "src/base/error.h"

namespace hsmith::cli {

struct SigningTask {
  std::string file;
  std::string output;
};

struct SigningResult {
  enum class Fate { not_tried, failed, signed_before, signed_now } fate = Fate::not_tried;
  std::string digest;  // of what was signed, hex
  std::optional<Error> error;
  Bytes for_standard_output;  // the signature, where that is its place
};

// What a worker does with one file. An Error is this file's failure.
using SignFile = std::function<SigningResult(const SigningTask&)>;
// Makes a worker; called in the worker's own thread, and again when its token failed it.
using MakeWorker = std::function<SignFile()>;

// What all workers share, be they threads or processes.
struct Board {
  std::atomic<std::size_t> next{0};  // task
  std::atomic<bool> token_gone{false};
};
// In memory that processes share.
std::shared_ptr<Board> make_board();

// Takes tasks from the board until none is left. A worker that its token failed starts afresh, so
// that a session that broke does not take all the files that are left with it. `take` is told the
// task that was begun, `done` its result.
void work(Board& board, std::span<const SigningTask> tasks, const MakeWorker& make_worker,
          const std::function<void(std::size_t)>& take,
          const std::function<void(std::size_t, SigningResult)>& done);

class SigningProcesses;

// The result of each task, in their order. A failure stops neither the other files nor the other
// workers, but for a token that is gone; what is not tried then says so. The workers are threads,
// or one thread and the processes. A single one is the caller's thread. Shows progress on a
// terminal.
std::vector<SigningResult> sign_files(std::span<const SigningTask> tasks, unsigned workers,
                                      const MakeWorker& make_worker, SigningProcesses* processes,
                                      const Context& context);

// The files that a list names, one a line; "-": standard input. Throws malformed for an empty list
// and a line with a NUL.
std::vector<std::string> files_from(const std::string& list);

}  // namespace hsmith::cli
