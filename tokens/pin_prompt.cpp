#include "tokens/pin_prompt.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "tokens/pin_line.h"

namespace hsmith::tokens {
namespace {

[[noreturn]] void fail(const char* doing) {
  throw Error(Kind::io, fmt::format("{}: {}", doing, std::strerror(errno)));
}

Descriptor open_terminal() { return Descriptor(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)); }

// The signals that end or stop a process at its terminal, but for those that are ignored.
sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) {
    struct sigaction action {};
    const bool known = sigaction(number, nullptr, &action) == 0;
    if (known && action.sa_handler != SIG_IGN) sigaddset(&signals, number);
  }
  return signals;
}

void set_terminal(int terminal, const termios& settings) {
  while (tcsetattr(terminal, TCSAFLUSH, &settings) != 0) {
    if (errno != EINTR) fail("set the terminal");
  }
}

// Holds signals back for the time of its life.
class SignalsHeld {
 public:
  explicit SignalsHeld(const sigset_t& signals) {
    pthread_sigmask(SIG_BLOCK, &signals, &mask_before_);
  }
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t mask_before_{};
};

// No echo for the time of its life. What was typed before and after the line is thrown away.
class EchoOff {
 public:
  explicit EchoOff(int terminal) : terminal_(terminal) {
    if (tcgetattr(terminal, &before_) != 0) fail("read the terminal's settings");
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL);
    silent.c_lflag |= ICANON | ISIG;
    set_terminal(terminal, silent);
  }
  ~EchoOff() {
    while (tcsetattr(terminal_, TCSAFLUSH, &before_) != 0 && errno == EINTR) {
    }
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

 private:
  int terminal_;
  termios before_{};
};

void say(const Descriptor& terminal, const std::string& text) {
  if (write(terminal.get(), text.data(), text.size()) < 0) fail("write to the terminal");
}

enum class Outcome { line, nothing, stopped, interrupted };

// What ended the wait for a line. The signal is left pending.
Outcome wait_for_line(const Descriptor& terminal, const Descriptor& signals, PinLine& line) {
  std::array<pollfd, 2> waiting{pollfd{signals.get(), POLLIN, 0},
                                pollfd{terminal.get(), POLLIN, 0}};
  std::array<unsigned char, 512> block;
  while (!line.complete()) {
    if (poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno == EINTR) continue;
      fail("wait for the terminal");
    }
    if (waiting[0].revents != 0) {
      sigset_t pending;
      sigpending(&pending);
      return sigismember(&pending, SIGTSTP) == 1 ? Outcome::stopped : Outcome::interrupted;
    }
    const ssize_t got = read(terminal.get(), block.data(), block.size());
    if (got < 0 && errno != EINTR) fail("read from the terminal");
    if (got == 0) return Outcome::nothing;
    if (got > 0) line.take(ByteView(block).first(static_cast<std::size_t>(got)));
    wipe(block.data(), block.size());
  }
  return Outcome::line;
}

Outcome ask(const Descriptor& terminal, const std::string& question, PinLine& line) {
  const sigset_t signals = ending_signals();
  const SignalsHeld held(signals);  // until the terminal is as it was
  const EchoOff echo_off(terminal.get());
  const Descriptor arriving(signalfd(-1, &signals, SFD_CLOEXEC));
  if (arriving.get() < 0) fail("watch for signals");
  say(terminal, question);
  const Outcome outcome = wait_for_line(terminal, arriving, line);
  say(terminal, "\n");
  return outcome;
}

}  // namespace

bool has_terminal() { return open_terminal().get() >= 0; }

Secret prompt_secret(const std::string& question) {
  const Descriptor terminal = open_terminal();
  if (terminal.get() < 0) throw Error(Kind::pin_missing, "ask at the terminal: there is none");
  for (;;) {
    PinLine line;
    const Outcome outcome = ask(terminal, question, line);
    if (outcome == Outcome::line) return line.finish();
    if (outcome == Outcome::stopped) continue;
    throw Error(Kind::pin_missing, outcome == Outcome::nothing
                                       ? "ask at the terminal: nothing was typed"
                                       : "ask at the terminal: interrupted");
  }
}

}  // namespace hsmith::tokens
