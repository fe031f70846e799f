#include "src/audit/log.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/json.h"
#include "src/base/sha256.h"
#include "src/base/text.h"

namespace hsmith::audit {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestLine = 1u << 20;

[[noreturn]] void fail(const fs::path& log, int error) {
  throw Error(Kind::io, fmt::format("write the audit log {}: {}; without an entry nothing is done",
                                    quoted(log.string()), std::strerror(error)))
      .hint("make room, or set [audit] file in the configuration");
}

// The log, locked. It may have been moved away while we waited: then the new one is meant.
Descriptor open_locked(const fs::path& log) {
  for (int round = 0; round < 100; ++round) {
    Descriptor file(open(log.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) fail(log, errno);
    while (flock(file.get(), LOCK_EX) != 0) {
      if (errno != EINTR) fail(log, errno);
    }
    struct stat opened {};
    struct stat named {};
    if (fstat(file.get(), &opened) != 0) fail(log, errno);
    if (stat(log.c_str(), &named) == 0 && named.st_ino == opened.st_ino &&
        named.st_dev == opened.st_dev)
      return file;
  }
  throw Error(Kind::io, fmt::format("write the audit log {}: it is replaced again and again",
                                    quoted(log.string())));
}

// `{"seq":N,"prev":"HASH",` as every entry begins; false for anything else.
bool parse_head(std::string_view line, std::uint64_t& number, std::string_view& prev) {
  constexpr std::string_view kSeq = R"({"seq":)";
  constexpr std::string_view kPrev = R"(,"prev":")";
  if (!line.starts_with(kSeq)) return false;
  const char* start = line.data() + kSeq.size();
  const auto [rest, error] = std::from_chars(start, line.data() + line.size(), number);
  if (error != std::errc{}) return false;
  line.remove_prefix(static_cast<std::size_t>(rest - line.data()));
  if (!line.starts_with(kPrev) || line.size() < kPrev.size() + 66) return false;
  prev = line.substr(kPrev.size(), 64);
  return line.substr(kPrev.size() + 64, 2) == "\",";
}

// The last whole line, and how many bytes of a torn one come after it.
struct Tail {
  std::string line;
  std::size_t torn = 0;
  off_t whole_size = 0;
};

Tail read_tail(const Descriptor& file, const fs::path& log) {
  struct stat status {};
  if (fstat(file.get(), &status) != 0) fail(log, errno);
  const off_t start = std::max<off_t>(0, status.st_size - static_cast<off_t>(2 * kLongestLine));
  std::string text(static_cast<std::size_t>(std::min<off_t>(status.st_size - start, 4096)), '\0');
  // Mostly the last 4 KiB hold the last line; else the whole window is read.
  for (off_t from = status.st_size - static_cast<off_t>(text.size());; from = start) {
    text.resize(static_cast<std::size_t>(status.st_size - from));
    if (pread(file.get(), text.data(), text.size(), from) != static_cast<ssize_t>(text.size()))
      fail(log, errno);
    const std::size_t end = text.rfind('\n');
    const std::size_t before =
        end == std::string::npos || end == 0 ? std::string::npos : text.rfind('\n', end - 1);
    if (end != std::string::npos && (before != std::string::npos || from == 0)) {
      const std::size_t first = before == std::string::npos ? 0 : before + 1;
      return {text.substr(first, end - first), text.size() - end - 1,
              from + static_cast<off_t>(end) + 1};
    }
    if (from == 0) return {"", text.size(), 0};
    if (from == start)
      throw Error(Kind::io, fmt::format("read the audit log {}: its last line is longer than 1 MiB",
                                        quoted(log.string())));
  }
}

Position position_of(const Tail& tail, const fs::path& log) {
  if (tail.line.empty()) return {0, no_hash()};
  Position position;
  std::string_view prev;
  if (!parse_head(tail.line, position.number, prev)) {
    throw Error(Kind::io,
                fmt::format("write the audit log {}: its last line is no entry; nothing is done",
                            quoted(log.string())))
        .hint("look at it with: hsmith log verify");
  }
  position.hash = sha256_hex(as_bytes(tail.line));
  return position;
}

std::string line_of(const Position& before, const Json& fields) {
  Json entry{{"seq", before.number + 1},
             {"prev", before.hash},
             {"time", rfc3339(std::time(nullptr))},
             {"pid", getpid()},
             {"uid", getuid()}};
  for (const auto& [name, value] : fields.items()) entry[name] = value;
  return entry.dump(-1, ' ', true, Json::error_handler_t::replace);
}

// One write: a reader sees whole lines, a crash tears at most the last one.
Position write_entry(const Descriptor& file, const fs::path& log, const Position& before,
                     const Json& fields) {
  std::string line = line_of(before, fields);
  if (line.size() > kLongestLine)
    throw Error(Kind::internal, "write the audit log: an entry is longer than 1 MiB");
  const Position written{before.number + 1, sha256_hex(as_bytes(line))};
  line += '\n';
  const ssize_t done = write(file.get(), line.data(), line.size());
  if (done != static_cast<ssize_t>(line.size())) fail(log, done < 0 ? errno : ENOSPC);
  return written;
}

}  // namespace

std::string no_hash() { return std::string(64, '0'); }

Position append(const fs::path& log, const Json& fields, Flush flush) {
  make_private_folder(log.parent_path());
  const bool is_new = !fs::exists(log);
  const Descriptor file = open_locked(log);
  const Tail tail = read_tail(file, log);
  Position last = position_of(tail, log);
  if (tail.torn != 0) {
    if (ftruncate(file.get(), tail.whole_size) != 0) fail(log, errno);
    last = write_entry(file, log, last, {{"event", "torn line cut off"}, {"bytes", tail.torn}});
  }
  last = write_entry(file, log, last, fields);
  if (flush == Flush::yes) {
    if (fdatasync(file.get()) != 0) fail(log, errno);
    if (is_new) sync_folder(log.parent_path());
  }
  return last;
}

void read_entries(const fs::path& log, const std::function<void(std::string_view)>& take) {
  std::string rest;
  read_blocks(log.string(), [&](ByteView block) {
    std::string_view text = as_text(block);
    for (;;) {
      const std::size_t end = text.find('\n');
      if (end == std::string_view::npos) break;
      if (rest.empty()) {
        take(text.substr(0, end));
      } else {
        rest += text.substr(0, end);
        take(rest);
        rest.clear();
      }
      text.remove_prefix(end + 1);
    }
    rest += text;
    if (rest.size() > kLongestLine)
      throw Error(Kind::malformed, fmt::format("read the audit log {}: a line is longer than 1 MiB",
                                               quoted(log.string())));
  });
}

Verification verify(const fs::path& log, const std::optional<Position>& checkpoint) {
  Verification found{{0, no_hash()}, "", false};
  bool passed_checkpoint = !checkpoint || checkpoint->number == 0;
  read_entries(log, [&](std::string_view line) {
    if (!found.problem.empty()) return;
    std::uint64_t number = 0;
    std::string_view prev;
    const std::uint64_t expected = found.last.number + 1;
    if (!parse_head(line, number, prev) || !is_json(line)) {
      found.problem = fmt::format("line {}: this is no entry", expected);
    } else if (number != expected) {
      found.problem =
          fmt::format("line {}: it has the number {}: an entry was removed, moved or inserted",
                      expected, number);
    } else if (prev != found.last.hash) {
      found.problem = fmt::format("line {}: the entry before it was changed", expected);
    }
    if (!found.problem.empty()) return;
    found.last = {number, sha256_hex(as_bytes(line))};
    if (checkpoint && number == checkpoint->number) {
      passed_checkpoint = true;
      if (found.last.hash != checkpoint->hash)
        found.problem = fmt::format("line {}: it is not the entry of the checkpoint", number);
    }
  });
  if (found.problem.empty() && !passed_checkpoint) {
    found.problem =
        fmt::format("the log ends at entry {}, the checkpoint knows entry {}: entries were cut off",
                    found.last.number, checkpoint->number);
  }
  const Descriptor file(open(log.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // as a FIFO waits
  char last_byte = '\n';
  const off_t size = file.get() < 0 ? 0 : lseek(file.get(), 0, SEEK_END);
  found.torn = size > 0 && pread(file.get(), &last_byte, 1, size - 1) == 1 && last_byte != '\n';
  return found;
}

}  // namespace hsmith::audit
