#include "cli/bulk_signing.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <new>
#include <sys/mman.h>
#include <thread>

#include "cli/progress.h"
#include "cli/signing_processes.h"
#include "src/base/files.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

using Fate = SigningResult::Fate;

constexpr std::size_t kMostFiles = 1'000'000;

struct Run {
  std::vector<SigningResult> results;
  std::atomic<std::size_t> finished{0};
  std::mutex mutex;
  std::condition_variable ended;
  std::size_t working = 0;             // under the mutex
  std::optional<Error> worker_failed;  // why a worker could not start; under the mutex
};

bool is_tokens_fault(const Error& error) {
  return error.kind() == Kind::token_failed || error.kind() == Kind::token_removed;
}

// A token that closes its sessions ends the login with the last of them. To a new session the key
// of a login that has ended is as one that was deleted.
bool lost_the_key(const Error& error, bool is_new_session) {
  if (error.ckr() == "CKR_USER_NOT_LOGGED_IN") return true;
  return is_new_session &&
         (error.kind() == Kind::not_found || error.ckr() == "CKR_KEY_HANDLE_INVALID" ||
          error.ckr() == "CKR_OBJECT_HANDLE_INVALID");
}

Error key_lost(const Error& error) {
  return Error(Kind::token_failed,
               "the key is not there in a new session: the token ended the login, or the key was "
               "deleted")
      .hint("see whether it is there: hsmith key list; then run again with --resume")
      .ckr(error.ckr());
}

// Runs one worker, whose own end is an Error or none.
void watch(Run& run, const std::function<std::optional<Error>()>& worker) {
  std::optional<Error> failed;
  try {
    failed = worker();
  } catch (const Error& error) {
    failed = error;
  } catch (const std::exception& error) {
    failed = Error(Kind::internal, error.what());
  }
  const std::lock_guard lock(run.mutex);
  if (failed) run.worker_failed = failed;
  --run.working;
  run.ended.notify_all();
}

void wait_for_end(Run& run, const Context& context) {
  Progress progress(context, "files", run.results.size());
  std::unique_lock lock(run.mutex);
  while (
      !run.ended.wait_for(lock, std::chrono::milliseconds(500), [&] { return run.working == 0; }))
    progress.show(run.finished);
}

}  // namespace

std::shared_ptr<Board> make_board() {
  void* shared =
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw Error(Kind::io, "start workers: there is no memory left");
  return {new (shared) Board, [](Board* board) { munmap(board, sizeof *board); }};
}

namespace {

SignFile make_again(const MakeWorker& make_worker, bool is_new_session) {
  try {
    return make_worker();
  } catch (const Error& error) {
    if (lost_the_key(error, is_new_session)) throw key_lost(error);
    throw;
  }
}

}  // namespace

void work(Board& board, std::span<const SigningTask> tasks, const MakeWorker& make_worker,
          const std::function<void(std::size_t)>& take,
          const std::function<void(std::size_t, SigningResult)>& done) {
  SignFile sign;
  bool is_new_session = false;  // after one that failed
  while (!board.token_gone && board.next < tasks.size()) {
    if (!sign) sign = make_again(make_worker, is_new_session);
    const std::size_t i = board.next++;
    if (i >= tasks.size()) return;
    take(i);
    try {
      done(i, sign(tasks[i]));
      is_new_session = false;
    } catch (const Error& error) {
      if (lost_the_key(error, is_new_session)) {
        const Error lost = key_lost(error);
        done(i, {Fate::failed, "", lost, {}});
        throw Error(lost);
      }
      if (error.kind() == Kind::token_removed) board.token_gone = true;
      is_new_session = is_tokens_fault(error);
      if (is_new_session) sign = nullptr;
      done(i, {Fate::failed, "", error, {}});
    }
  }
}

namespace {

// In the caller's thread.
void sign_alone(Run& run, Board& board, std::span<const SigningTask> tasks,
                const MakeWorker& make_worker,
                const std::function<void(std::size_t, SigningResult)>& done,
                const Context& context) {
  std::optional<Progress> progress;
  if (tasks.size() > 1) progress.emplace(context, "files", tasks.size());
  run.working = 1;
  watch(run, [&]() -> std::optional<Error> {
    work(
        board, tasks, make_worker, [](std::size_t) {},
        [&](std::size_t task, SigningResult result) {
          done(task, std::move(result));
          if (progress) progress->show(run.finished);
        });
    return {};
  });
}

}  // namespace

std::vector<SigningResult> sign_files(std::span<const SigningTask> tasks, unsigned workers,
                                      const MakeWorker& make_worker, SigningProcesses* processes,
                                      const Context& context) {
  Run run;
  run.results.resize(tasks.size());
  const std::shared_ptr<Board> board = processes != nullptr ? processes->board() : make_board();
  const auto done = [&run](std::size_t task, SigningResult result) {
    if (task < run.results.size()) run.results[task] = std::move(result);
    ++run.finished;
  };
  const auto own_work = [&]() -> std::optional<Error> {
    work(
        *board, tasks, make_worker, [](std::size_t) {}, done);
    return {};
  };
  if (workers <= 1 || tasks.size() <= 1) {
    sign_alone(run, *board, tasks, make_worker, done, context);
  } else {
    const std::size_t others = processes != nullptr
                                   ? processes->count()
                                   : std::min<std::size_t>(workers, tasks.size()) - 1;
    run.working = others + 1;
    std::vector<std::thread> threads;
    threads.emplace_back([&] { watch(run, own_work); });
    for (std::size_t i = 0; i < others; ++i) {
      threads.emplace_back([&, i] {
        watch(run, [&] { return processes != nullptr ? processes->collect(i, done) : own_work(); });
      });
    }
    wait_for_end(run, context);
    for (std::thread& thread : threads) thread.join();
  }
  // As long as one worker went on, all is done; else what it failed of is the answer.
  if (run.worker_failed && run.finished < tasks.size()) {
    for (SigningResult& result : run.results) {
      if (result.fate == Fate::not_tried) result = {Fate::failed, "", run.worker_failed, {}};
    }
  }
  return std::move(run.results);
}

std::vector<std::string> files_from(const std::string& list) {
  std::vector<std::string> files;
  const Bytes content = read_file(list);
  std::size_t number = 0;
  for (std::string& line : split(as_text(content), '\n')) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    if (line.find('\0') != std::string::npos || files.size() == kMostFiles) {
      throw Error(Kind::malformed,
                  fmt::format("read the list {}: line {} holds a NUL, or is one too many",
                              quoted(list), number));
    }
    files.push_back(std::move(line));
  }
  if (files.empty())
    throw Error(Kind::malformed, fmt::format("read the list {}: it names no file", quoted(list)));
  return files;
}

}  // namespace hsmith::cli
