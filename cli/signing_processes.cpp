#include "cli/signing_processes.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hsmith::cli {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// A line of JSON, whole or not at all.
void send(int to, const Json& message) {
  const std::string line = message.dump(-1, ' ', true, Json::error_handler_t::replace) + '\n';
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t done = write(to, line.data() + sent, line.size() - sent);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) _exit(1);  // whoever wanted to know is gone
    sent += static_cast<std::size_t>(done);
  }
}

// Lines as they come; nullopt at the end.
class Lines {
 public:
  explicit Lines(int from) : from_(from) {}

  std::optional<std::string> next() {
    for (;;) {
      const std::size_t end = rest_.find('\n');
      if (end != std::string::npos) {
        std::string line = rest_.substr(0, end);
        rest_.erase(0, end + 1);
        return line;
      }
      char block[4096];
      const ssize_t got = read(from_, block, sizeof block);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return {};
      rest_.append(block, static_cast<std::size_t>(got));
    }
  }

 private:
  int from_;
  std::string rest_;
};

Json json_of(const Error& error) {
  return {{"kind", static_cast<int>(error.kind())},
          {"what", error.what()},
          {"hint", error.hint()},
          {"ckr", error.ckr()}};
}

Error error_of(const Json& json) {
  return Error(static_cast<Kind>(json.at("kind").get<int>()), json.at("what").get<std::string>())
      .hint(json.at("hint").get<std::string>())
      .ckr(json.at("ckr").get<std::string>());
}

Json json_of(std::size_t task, const SigningResult& result) {
  Json json{{"task", task}, {"fate", static_cast<int>(result.fate)}, {"digest", result.digest}};
  if (result.error) json["error"] = json_of(*result.error);
  return json;
}

SigningResult result_of(const Json& json) {
  SigningResult result{static_cast<SigningResult::Fate>(json.at("fate").get<int>()),
                       json.at("digest").get<std::string>(),
                       std::nullopt,
                       {}};
  if (json.contains("error")) result.error = error_of(json["error"]);
  return result;
}

// The whole life of a process.
void serve(int orders, int results, Board& board, std::span<const SigningTask> tasks,
           const SigningProcesses::MakeTold& make_worker) {
  const std::optional<std::string> told = Lines(orders).next();
  if (!told) return;
  try {
    work(
        board, tasks, [&] { return make_worker(*told); },
        [&](std::size_t task) {
          send(results, {{"begun", task}});
        },
        [&](std::size_t task, const SigningResult& result) {
          send(results, json_of(task, result));
        });
    send(results, {{"end", true}});
  } catch (const Error& error) {
    send(results, {{"failed", json_of(error)}});
  } catch (const std::exception& error) {
    send(results, {{"failed", json_of(Error(Kind::internal, error.what()))}});
  }
}

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;
};

Pipe make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    throw Error(Kind::io, fmt::format("start a worker: {}", std::strerror(errno)));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

}  // namespace

SigningProcesses::SigningProcesses(unsigned count, std::span<const SigningTask> tasks,
                                   const MakeTold& make_worker)
    : board_(make_board()) {
  for (unsigned i = 0; i < count; ++i) {
    Pipe orders = make_pipe();
    Pipe results = make_pipe();
    const pid_t pid = fork();
    if (pid < 0) throw Error(Kind::io, fmt::format("start a worker: {}", std::strerror(errno)));
    if (pid == 0) {
      children_.clear();  // the ends of the others' pipes: they must end with the parent
      orders.write_end = Descriptor();
      results.read_end = Descriptor();
      serve(orders.read_end.get(), results.write_end.get(), *board_, tasks, make_worker);
      _exit(0);
    }
    children_.push_back({pid, std::move(orders.write_end), std::move(results.read_end)});
  }
}

SigningProcesses::~SigningProcesses() {
  for (Child& child : children_) {
    child.orders = Descriptor();
    child.results = Descriptor();
    while (waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

void SigningProcesses::go(const std::string& told) {
  for (Child& child : children_) {
    const std::string line = told + '\n';
    // One that was killed meanwhile is missed when its results are read.
    if (write(child.orders.get(), line.data(), line.size()) < 0) continue;
  }
}

std::optional<Error> SigningProcesses::collect(
    std::size_t child, const std::function<void(std::size_t, SigningResult)>& done) {
  Lines lines(children_[child].results.get());
  std::size_t begun = kNone;
  while (const std::optional<std::string> line = lines.next()) {
    const Json message = Json::parse(*line);
    if (message.contains("end")) return {};
    if (message.contains("failed")) return error_of(message["failed"]);
    if (message.contains("begun")) {
      begun = message["begun"].get<std::size_t>();
    } else {
      done(message.at("task").get<std::size_t>(), result_of(message));
      begun = kNone;
    }
  }
  const Error died(Kind::token_failed, "sign: a worker process ended in the middle of its work");
  if (begun != kNone) done(begun, {SigningResult::Fate::failed, "", died, {}});
  return died;
}

}  // namespace hsmith::cli
