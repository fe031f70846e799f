#include "cli/crash.h"

#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace hsmith::cli {
namespace {

// Ready before, for a handler may not allocate.
struct Report {
  pid_t process = 0;
  int output = -1;
  int exit = 1;
  std::string text;
  std::string json;
};

Report& report() {
  static auto* const kept = new Report;  // outlives what is destroyed at exit
  return *kept;
}

void write_all(int file, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = write(file, text.data() + done, text.size() - done);
    if (wrote <= 0) return;
    done += static_cast<std::size_t>(wrote);
  }
}

[[noreturn]] void report_and_end() {
  write_all(STDERR_FILENO, report().text);
  if (report().output >= 0) write_all(report().output, report().json);
  _exit(report().exit);
}

void crashed(int signal) {
  if (getpid() == report().process) report_and_end();
  std::signal(signal, SIG_DFL);  // a child's death is its parent's to report
  raise(signal);
}

// Of their own, as a stack that overflowed has no room for them.
void give_handlers_a_stack() {
  constexpr std::size_t kSize = 64u << 10;
  stack_t stack{};
  const bool has_one = sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE) == 0;
  if (has_one) return;
  static auto* const kept = new std::array<unsigned char, kSize>;
  stack = {};
  stack.ss_sp = kept->data();
  stack.ss_size = kept->size();
  sigaltstack(&stack, nullptr);
}

void exited() {
  if (getpid() == report().process) report_and_end();
}

}  // namespace

void report_crashes(std::string text, std::string json, int exit) {
  const int output = json.empty() ? -1 : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  report() = {getpid(), output, exit, std::move(text), std::move(json)};
  give_handlers_a_stack();
  struct sigaction action {};
  action.sa_handler = crashed;
  action.sa_flags = static_cast<int>(SA_NODEFER | SA_RESETHAND | SA_ONSTACK);
  for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL})
    sigaction(signal, &action, nullptr);
  std::atexit(exited);
}

void stop_reporting_crashes() { report().process = 0; }

}  // namespace hsmith::cli
