#include "src/base/lock.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"

namespace hsmith {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{16};

[[noreturn]] void fail(std::string_view doing, const fs::path& path, int error) {
  throw Error(Kind::io,
              fmt::format("{} {}: {}", doing, quoted(path.string()), std::strerror(error)));
}

Descriptor open_lock(const fs::path& path) {
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0 && errno == ELOOP) {
    throw Error(Kind::unsafe_permissions,
                fmt::format("open the lock {}: it is a symbolic link", quoted(path.string())))
        .hint(
            fmt::format("find out who made it, then remove it: rm {}", shell_word(path.string())));
  }
  if (file.get() < 0) fail("open the lock", path, errno);
  return file;
}

// False when another process has it.
bool try_lock(const Descriptor& file, const fs::path& path) {
  if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) return true;
  if (errno != EWOULDBLOCK && errno != EINTR) fail("take the lock", path, errno);
  return false;
}

void write_holder(const Descriptor& file, const fs::path& path) {
  const std::string pid = fmt::format("{}\n", getpid());
  const bool written =
      ftruncate(file.get(), 0) == 0 && pwrite(file.get(), pid.data(), pid.size(), 0) >= 0;
  if (!written) fail("write the lock", path, errno);
}

Error busy(const Descriptor& file, const fs::path& path) {
  std::array<char, 32> content{};
  const ssize_t size = pread(file.get(), content.data(), content.size(), 0);
  const std::string_view text(content.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  const std::string_view pid = text.substr(0, text.find('\n'));
  const bool known = !pid.empty() && pid.find_first_not_of("0123456789") == std::string_view::npos;
  return Error(Kind::busy, fmt::format("take the lock {}: {} holds it", quoted(path.string()),
                                       known ? fmt::format("process {}", pid) : "another process"))
      .hint("wait until it has finished, then try again");
}

void refuse_unsafe_folder(const fs::path& folder) {
  struct stat status {};
  if (lstat(folder.c_str(), &status) != 0) fail("use the folder for locks", folder, errno);
  const auto refuse = [&folder](const char* cause) {
    return Error(Kind::unsafe_permissions,
                 fmt::format("use the folder for locks {}: {}", quoted(folder.string()), cause));
  };
  if (!S_ISDIR(status.st_mode)) throw refuse("it is not a folder");
  if (status.st_uid != geteuid() && status.st_uid != 0) throw refuse("it belongs to another user");
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw refuse("others may write to it").hint("chmod go-w " + shell_word(folder.string()));
  }
}

}  // namespace

FileLock FileLock::acquire(const fs::path& path, std::chrono::milliseconds timeout) {
  Descriptor file = open_lock(path);
  const Clock::time_point deadline = Clock::now() + timeout;
  auto pause = kFirstPause;
  while (!try_lock(file, path)) {
    if (Clock::now() + pause > deadline) throw busy(file, path);
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
  write_holder(file, path);
  return FileLock(std::move(file));
}

fs::path lock_folder(const std::optional<std::string>& configured, const Environment& environment) {
  fs::path folder = environment.state_folder / "lock";
  if (configured) {
    folder = *configured;
  } else if (!environment.runtime_folder.empty()) {
    folder = environment.runtime_folder / "hsmith";
  }
  make_private_folder(folder);
  refuse_unsafe_folder(folder);
  return folder;
}

}  // namespace hsmith
