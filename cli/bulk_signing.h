// Many files signed by several workers, each with a session of its own.
#pragma once

#include <functional>
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

// The result of each task, in their order. A failure stops neither the other files nor the other
// workers, but for a token that is gone; what is not tried then says so. With one job all is done
// in the caller's thread. Shows progress on a terminal.
std::vector<SigningResult> sign_files(std::span<const SigningTask> tasks, unsigned jobs,
                                      const MakeWorker& make_worker, const Context& context);

// The files that a list names, one a line; "-": standard input. Throws malformed for an empty list
// and a line with a NUL.
std::vector<std::string> files_from(const std::string& list);

}  // namespace hsmith::cli
