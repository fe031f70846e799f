// How far a long run is: one line on a terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "cli/context.h"

namespace hsmith::cli {

// "120 of 1000 files, 60 a second, 15 s left", rewritten twice a second on standard error and wiped
// at the end. Shows nothing where that is no terminal, with --quiet and --json.
class Progress {
 public:
  Progress(const Context& context, std::string things, std::size_t total);
  ~Progress();
  Progress(const Progress&) = delete;

  void show(std::size_t done);

 private:
  using Clock = std::chrono::steady_clock;

  std::string things_;
  std::size_t total_;
  bool is_shown_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

}  // namespace hsmith::cli
