#include "tokens/child_process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"

namespace hsmith::tokens {
namespace {

using nlohmann::json;

constexpr std::size_t kLargestReport = 1u << 20;

// One line that a child wrote last, in memory that its parent sees when it is gone.
class LastWords {
 public:
  LastWords() {
    void* memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) text_ = static_cast<char*>(memory);
  }
  ~LastWords() {
    if (text_ != nullptr) munmap(text_, kSize);
  }
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;

  void say(std::string_view what) {
    if (text_ == nullptr) return;
    const std::size_t size = std::min(what.size(), kSize - 1);
    std::memcpy(text_, what.data(), size);
    text_[size] = '\0';
  }
  // ", in: …", or nothing where nothing was said. A module that goes wild may have written it.
  std::string said() const {
    if (text_ == nullptr || text_[0] == '\0') return "";
    return fmt::format(", in: {}", printable({text_, strnlen(text_, kSize)}));
  }

 private:
  static constexpr std::size_t kSize = 512;
  char* text_ = nullptr;
};

// What crosses the pipe: one JSON object, the result or the error.
std::string report_of(const std::function<std::string()>& work) {
  json report;
  try {
    report["result"] = work();
  } catch (const Error& error) {
    report = {{"kind", static_cast<int>(error.kind())},
              {"message", error.what()},
              {"hint", error.hint()},
              {"ckr", error.ckr()},
              {"candidates", error.candidates()}};
  } catch (const std::exception& error) {
    report = {{"kind", static_cast<int>(Kind::internal)},
              {"message", error.what()},
              {"hint", ""},
              {"ckr", ""},
              {"candidates", json::array()}};
  }
  return report.dump(-1, ' ', false, json::error_handler_t::replace);
}

[[noreturn]] void be_the_child(const std::function<std::string()>& work, int out) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // A crash is the parent's to report, whatever the parent does at one of its own.
  for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, SIG_DFL);
  // What a module prints goes nowhere near our output.
  dup2(STDERR_FILENO, STDOUT_FILENO);
  const std::string text = report_of(work);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = write(out, text.data() + done, text.size() - done);
    if (wrote <= 0) break;
    done += static_cast<std::size_t>(wrote);
  }
  _exit(0);
}

// Everything until the end of the pipe; false when the time is over.
bool read_report(const Descriptor& pipe, std::chrono::milliseconds limit, std::string& text) {
  const auto end = std::chrono::steady_clock::now() + limit;
  char block[4096];
  while (text.size() <= kLargestReport) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd waiting{pipe.get(), POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::max<long>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t got = read(pipe.get(), block, sizeof block);
    if (got <= 0) return got == 0;
    text.append(block, static_cast<std::size_t>(got));
  }
  return false;
}

std::string result_in(const std::string& text, const std::string& doing, const LastWords& last) {
  json report;
  try {
    report = json::parse(text);
  } catch (const json::exception&) {
    throw Error(Kind::token_failed,
                fmt::format("{}: the module ended the process{}", doing, last.said()));
  }
  if (report.contains("result")) return report["result"].get<std::string>();
  throw Error(static_cast<Kind>(report["kind"].get<int>()), report["message"].get<std::string>())
      .hint(report["hint"].get<std::string>())
      .ckr(report["ckr"].get<std::string>())
      .candidates(report["candidates"].get<std::vector<std::string>>());
}

}  // namespace

std::string run_in_child(const std::string& doing, std::chrono::milliseconds limit,
                         const std::function<std::string()>& work) {
  return run_in_child(doing, limit, [&](const Say&) { return work(); });
}

std::string run_in_child(const std::string& doing, std::chrono::milliseconds limit,
                         const std::function<std::string(const Say& say)>& work) {
  const auto fail = [&](int error) {
    throw Error(Kind::io, fmt::format("{}: {}", doing, std::strerror(error)));
  };
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail(errno);
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  LastWords last;
  const pid_t child = fork();
  if (child < 0) fail(errno);
  if (child == 0) {
    const Say say = [&](std::string_view what) { last.say(what); };
    be_the_child([&] { return work(say); }, writing.get());
  }
  writing = Descriptor();
  std::string text;
  const bool in_time = read_report(reading, limit, text);
  if (!in_time) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
    throw Error(Kind::token_failed,
                fmt::format("{}: it did not end within {} s{}", doing, seconds, last.said()));
  }
  if (WIFSIGNALED(status)) {
    throw Error(Kind::token_failed, fmt::format("{}: it crashed ({}){}", doing,
                                                strsignal(WTERMSIG(status)), last.said()));
  }
  return result_in(text, doing, last);
}

}  // namespace hsmith::tokens
