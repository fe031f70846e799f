#include "cli/progress.h"

#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

namespace hsmith::cli {

Progress::Progress(const Context& context, std::string things, std::size_t total)
    : things_(std::move(things)),
      total_(total),
      is_shown_(isatty(STDERR_FILENO) != 0 && !context.options.quiet && !context.options.json) {}

Progress::~Progress() {
  if (is_shown_) std::fputs("\r\x1b[K", stderr);
}

void Progress::show(std::size_t done) {
  const Clock::time_point now = Clock::now();
  if (!is_shown_ || done == 0 || now - last_ < std::chrono::milliseconds(500)) return;
  last_ = now;
  const double rate =
      static_cast<double>(done) / std::chrono::duration<double>(now - start_).count();
  const double left = static_cast<double>(total_ - done) / rate;
  fmt::print(stderr, "\r{} of {} {}, {:.{}f} a second, {:.0f} s left \x1b[K", done, total_, things_,
             rate, rate < 10 ? 1 : 0, left);
}

}  // namespace hsmith::cli
