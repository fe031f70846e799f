#include "tokens/pin_command.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <string_view>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/base/files.h"
#include "tokens/pin_line.h"

namespace hsmith::tokens {
namespace {

using Clock = std::chrono::steady_clock;

// The command is not part of a message: it may hold what it is meant to hide.
constexpr const char* kDoing = "run the command that gives the PIN";

[[noreturn]] void fail(int error) {
  throw Error(Kind::io, fmt::format("{}: {}", kDoing, std::strerror(error)));
}

[[noreturn]] void refuse(const std::string& cause) {
  throw Error(Kind::pin_missing, fmt::format("{}: {}", kDoing, cause));
}

void must_succeed(int error) {
  if (error != 0) fail(error);
}

std::vector<char*> environment_without_ours() {
  std::vector<char*> kept;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("HSMITH_")) kept.push_back(*entry);
  }
  kept.push_back(nullptr);
  return kept;
}

struct SpawnActions {
  SpawnActions() { must_succeed(posix_spawn_file_actions_init(&actions)); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  posix_spawn_file_actions_t actions;
};

struct SpawnAttributes {
  SpawnAttributes() { must_succeed(posix_spawnattr_init(&attributes)); }
  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  posix_spawnattr_t attributes;
};

pid_t spawn_shell(std::string command, int output) {
  SpawnActions files;
  must_succeed(
      posix_spawn_file_actions_addopen(&files.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
  must_succeed(posix_spawn_file_actions_adddup2(&files.actions, output, STDOUT_FILENO));
  must_succeed(posix_spawn_file_actions_addclosefrom_np(&files.actions, STDERR_FILENO + 1));

  SpawnAttributes with;
  sigset_t none;
  sigset_t defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);  // which hsmith ignores
  must_succeed(posix_spawnattr_setsigmask(&with.attributes, &none));
  must_succeed(posix_spawnattr_setsigdefault(&with.attributes, &defaults));
  must_succeed(
      posix_spawnattr_setflags(&with.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));

  std::string shell = "/bin/sh";
  std::string option = "-c";
  std::array<char*, 4> arguments{shell.data(), option.data(), command.data(), nullptr};
  std::vector<char*> environment = environment_without_ours();
  pid_t pid = -1;
  must_succeed(posix_spawn(&pid, shell.c_str(), &files.actions, &with.attributes, arguments.data(),
                           environment.data()));
  return pid;
}

// A running child, killed and waited for when its time is over or nobody needs it any more. It
// stays in our process group, so that it may ask at the terminal and Ctrl-C reaches it.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool has_ended() {
    if (pid_ <= 0) return true;
    const pid_t ended = waitpid(pid_, &status_, WNOHANG);
    if (ended < 0 && errno != EINTR) fail(errno);
    if (ended > 0) pid_ = -1;
    return pid_ <= 0;
  }
  int status() const { return status_; }

 private:
  pid_t pid_;
  int status_ = 0;
};

// Reads what is there. False at the end of the output.
bool read_block(const Descriptor& output, PinLine& line) {
  std::array<unsigned char, 512> block;
  const ssize_t got = read(output.get(), block.data(), block.size());
  if (got > 0) line.take(ByteView(block).first(static_cast<std::size_t>(got)));
  wipe(block.data(), block.size());
  if (got < 0 && errno != EINTR && errno != EAGAIN) fail(errno);
  return got != 0;
}

// All output is read, so that the program is not ended by SIGPIPE; a program left running in the
// background may keep the pipe open, so the end of the command itself ends it too.
void collect(const Descriptor& output, Child& child, PinLine& line, Clock::time_point deadline) {
  constexpr std::chrono::milliseconds kStep{5};
  bool open = true;
  while (!child.has_ended()) {
    if (Clock::now() > deadline) refuse("it took too long, and was ended");
    pollfd waiting{output.get(), POLLIN, 0};
    if (!open) {
      std::this_thread::sleep_for(kStep);
    } else if (poll(&waiting, 1, kStep.count()) > 0) {
      open = read_block(output, line);
    }
  }
  pollfd waiting{output.get(), POLLIN, 0};
  while (open && !line.complete() && poll(&waiting, 1, 0) > 0) open = read_block(output, line);
}

}  // namespace

Secret first_line_of_command(const std::string& command, std::chrono::milliseconds limit) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) fail(errno);
  const Descriptor output(ends[0]);
  Descriptor input(ends[1]);
  Child child(spawn_shell(command, input.get()));
  input = Descriptor();
  PinLine line;
  collect(output, child, line, Clock::now() + limit);
  if (WIFSIGNALED(child.status())) {
    refuse(fmt::format("signal {} ended it", WTERMSIG(child.status())));
  }
  if (WEXITSTATUS(child.status()) != 0) {
    refuse(fmt::format("it ended with status {}", WEXITSTATUS(child.status())));
  }
  return line.finish();
}

}  // namespace hsmith::tokens
