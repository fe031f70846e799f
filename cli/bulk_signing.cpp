#include "cli/bulk_signing.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <thread>
#include <unistd.h>

#include "src/base/files.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

using Fate = SigningResult::Fate;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostFiles = 1'000'000;

// What the workers share.
struct Run {
  std::span<const SigningTask> tasks;
  std::vector<SigningResult> results;
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> finished{0};
  std::atomic<bool> token_gone{false};
  std::mutex mutex;
  std::condition_variable ended;
  std::size_t working = 0;             // under the mutex
  std::optional<Error> worker_failed;  // why a worker could not start; under the mutex
};

bool is_tokens_fault(const Error& error) {
  return error.kind() == Kind::token_failed || error.kind() == Kind::token_removed;
}

// Works until nothing is left. A worker that its token failed starts afresh, so that a session
// that broke does not take all the files that are left with it.
void work(Run& run, const MakeWorker& make_worker) {
  SignFile sign;
  while (!run.token_gone) {
    if (!sign) sign = make_worker();
    const std::size_t i = run.next++;
    if (i >= run.tasks.size()) return;
    try {
      run.results[i] = sign(run.tasks[i]);
    } catch (const Error& error) {
      run.results[i] = {Fate::failed, "", error, {}};
      if (error.kind() == Kind::token_removed) run.token_gone = true;
      if (is_tokens_fault(error)) sign = nullptr;
    }
    ++run.finished;
  }
}

void work_in_thread(Run& run, const MakeWorker& make_worker) {
  std::optional<Error> failed;
  try {
    work(run, make_worker);
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

void show_progress(const Run& run, Clock::time_point start) {
  const std::size_t done = run.finished;
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (done == 0 || seconds < 1) return;
  const double rate = static_cast<double>(done) / seconds;
  const double left = static_cast<double>(run.tasks.size() - done) / rate;
  fmt::print(stderr, "\r{} of {} files, {:.0f} a second, {:.0f} s left \x1b[K", done,
             run.tasks.size(), rate, left);
}

// Waits for the workers.
void wait_for_end(Run& run, bool progress) {
  const Clock::time_point start = Clock::now();
  std::unique_lock lock(run.mutex);
  while (
      !run.ended.wait_for(lock, std::chrono::milliseconds(500), [&] { return run.working == 0; })) {
    if (progress) show_progress(run, start);
  }
  if (progress) fmt::print(stderr, "\r\x1b[K");
}

}  // namespace

std::vector<SigningResult> sign_files(std::span<const SigningTask> tasks, unsigned jobs,
                                      const MakeWorker& make_worker, const Context& context) {
  Run run;
  run.tasks = tasks;
  run.results.resize(tasks.size());
  if (jobs <= 1 || tasks.size() <= 1) {
    work(run, make_worker);
    return std::move(run.results);
  }
  const bool progress =
      isatty(STDERR_FILENO) != 0 && !context.options.quiet && !context.options.json;
  const std::size_t count = std::min<std::size_t>(jobs, tasks.size());
  run.working = count;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i)
    threads.emplace_back([&] { work_in_thread(run, make_worker); });
  wait_for_end(run, progress);
  for (std::thread& thread : threads) thread.join();
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
  for (std::string& line : split(as_text(content), '\n')) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    if (line.find('\0') != std::string::npos || files.size() == kMostFiles) {
      throw Error(Kind::malformed,
                  fmt::format("read the list {}: line {} holds a NUL, or is one too many",
                              quoted(list), files.size() + 1));
    }
    files.push_back(std::move(line));
  }
  if (files.empty())
    throw Error(Kind::malformed, fmt::format("read the list {}: it names no file", quoted(list)));
  return files;
}

}  // namespace hsmith::cli
