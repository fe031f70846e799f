#include "src/base/files.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utility>

#include "src/base/error.h"
#include "src/base/new_file.h"
#include "src/base/prepared_file.h"
#include "src/base/read_ahead.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"

namespace hsmith {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(std::string_view doing, const std::string& path, int error) {
  throw Error(Kind::io, fmt::format("{} {}: {}", doing, quoted(path), std::strerror(error)));
}

// How long a FIFO may be without a writer: one that was just started comes in time.
constexpr int kWriterMilliseconds = 2000;

// What was opened to be read.
class Input {
 public:
  explicit Input(const std::string& path) : path_(path) {
    if (path == "-") {
      file_ = Descriptor(dup(STDIN_FILENO));
      return;
    }
    // Opened without blocking: a FIFO that nobody writes to is not waited for without an end.
    file_ = Descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (file_.get() < 0 || fstat(file_.get(), &status) != 0) fail("read", path, errno);
    if (S_ISDIR(status.st_mode)) {
      throw Error(Kind::malformed, fmt::format("read {}: it is a folder", quoted(path)));
    }
    lacks_writer_ = S_ISFIFO(status.st_mode) && has_name();
    if (!lacks_writer_) block();
  }

  // One read, repeated when a signal interrupted it; 0 at the end.
  std::size_t read_some(std::span<unsigned char> buffer) {
    if (std::exchange(lacks_writer_, false)) {
      if (const std::optional<std::size_t> got = read_first(buffer)) return *got;
    }
    for (;;) {
      const ssize_t got = read(file_.get(), buffer.data(), buffer.size());
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) fail("read", path_, errno);
    }
  }

  bool is_regular() const {
    struct stat status {};
    return fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode);
  }

 private:
  // A pipe without a name, as /dev/fd has them, has had its writer from the beginning.
  bool has_name() const {
    struct statfs status {};
    return fstatfs(file_.get(), &status) != 0 || status.f_type != PIPEFS_MAGIC;
  }

  void block() {
    if (fcntl(file_.get(), F_SETFL, 0) != 0) fail("read", path_, errno);
  }

  // A FIFO reads as ended before somebody has opened it to write: only a hangup says that there was
  // one. nullopt: its writer is there and has written nothing yet.
  std::optional<std::size_t> read_first(std::span<unsigned char> buffer) {
    pollfd writer{file_.get(), POLLIN, 0};
    while (poll(&writer, 1, kWriterMilliseconds) < 0) {
      if (errno != EINTR) fail("read", path_, errno);
    }
    const ssize_t got = read(file_.get(), buffer.data(), buffer.size());
    const int error = errno;
    if (got == 0 && (writer.revents & POLLHUP) == 0) {
      throw Error(Kind::io, fmt::format("read {}: nobody writes to this FIFO", quoted(path_)));
    }
    block();
    if (got >= 0) return static_cast<std::size_t>(got);
    if (error != EAGAIN && error != EINTR) fail("read", path_, error);
    return std::nullopt;
  }

  std::string path_;
  Descriptor file_;
  bool lacks_writer_ = false;
};

void write_all(int fd, ByteView content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", path, errno);
    content = content.subspan(static_cast<std::size_t>(written));
  }
}

fs::path folder_of(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  return folder.empty() ? fs::path(".") : folder;
}

Descriptor open_folder(const fs::path& folder) {
  Descriptor opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0) fail("open the folder", folder, errno);
  return opened;
}

void sync_folder(const Descriptor& opened, const fs::path& folder) {
  // EINVAL: a file system that has no such thing.
  if (fsync(opened.get()) != 0 && errno != EINVAL) fail("sync the folder", folder, errno);
}

Error already_there(const std::string& path) {
  return Error(Kind::exists, fmt::format("write {}: the file exists", quoted(path)))
      .hint("give another name, or --force to replace it");
}

// A file without a name until it is whole: a process that dies leaves nothing of it behind. Where
// the file system cannot do that (O_TMPFILE), it has a temporary name.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& target) : target_(target) {
    const fs::path folder = folder_of(target);
    file_ = Descriptor(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (file_.get() >= 0) return;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) fail("write", target, errno);
    name_ = (folder / ".hsmith-XXXXXX").string();
    file_ = Descriptor(mkostemp(name_.data(), O_CLOEXEC));
    if (file_.get() < 0) fail("write", target, errno);
  }
  ~TemporaryFile() {
    if (!name_.empty()) unlink(name_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  int fd() const { return file_.get(); }

  // Of two writers of one new name only one wins: neither linkat nor RENAME_NOREPLACE replaces.
  void put_in_place(Replace replace) {
    if (name_.empty()) {
      if (link_as(target_)) return;
      if (errno != EEXIST) fail("write", target_, errno);
      if (replace == Replace::no) throw already_there(target_);
    }
    if (name_.empty()) give_name();
    const unsigned flags = replace == Replace::yes ? 0 : RENAME_NOREPLACE;
    if (renameat2(AT_FDCWD, name_.c_str(), AT_FDCWD, target_.c_str(), flags) == 0) {
      name_.clear();
      return;
    }
    // NFS cannot rename so, but it has links, which never replace; FAT has it the other way round.
    const bool linked = flags != 0 && errno == EINVAL && link(name_.c_str(), target_.c_str()) == 0;
    if (linked) return;
    if (errno == EEXIST) throw already_there(target_);
    fail("write", target_, errno);
  }

 private:
  bool link_as(const std::string& name) const {
    const std::string opened = fmt::format("/proc/self/fd/{}", file_.get());
    return linkat(AT_FDCWD, opened.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
  }

  // A link never replaces, so what shall replace needs a name first. It is always the same one:
  // what a killed process left under it goes with the next run.
  void give_name() {
    const std::string name = replacement_of(target_).string();
    unlink(name.c_str());
    if (!link_as(name)) fail("write", target_, errno);
    name_ = name;
  }

  std::string target_;
  std::string name_;
  Descriptor file_;
};

bool is_device(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISCHR(status.st_mode);
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

int Descriptor::release() { return std::exchange(fd_, -1); }

Bytes read_file(const std::string& path, std::size_t limit) {
  Input file(path);
  Bytes content;
  std::array<unsigned char, 65536> block;
  while (const std::size_t got = file.read_some(block)) {
    if (content.size() + got > limit) {
      throw Error(Kind::malformed,
                  fmt::format("read {}: larger than the {} KiB that such a file may have",
                              quoted(path), limit >> 10));
    }
    content.insert(content.end(), block.begin(), block.begin() + static_cast<ptrdiff_t>(got));
  }
  return content;
}

namespace {

// A smaller file is not worth a thread.
constexpr std::size_t kReadAheadFrom = 8u << 20;

}  // namespace

void read_blocks(const std::string& path, const std::function<void(ByteView)>& take) {
  Input file(path);
  constexpr std::size_t kBlock = 256u << 10;
  // Not cleared: of a small file only the first page is used.
  const auto room = std::make_unique_for_overwrite<unsigned char[]>(kBlock);
  const std::span<unsigned char> block(room.get(), kBlock);
  std::size_t total = 0;
  while (const std::size_t got = file.read_some(block)) {
    take(block.first(got));
    total += got;
    if (total >= kReadAheadFrom && file.is_regular()) break;
  }
  if (total < kReadAheadFrom || !file.is_regular()) return;
  ReadAhead ahead([&](Bytes& into) { return file.read_some(into); }, kBlock);
  for (ByteView next = ahead.next(); !next.empty(); next = ahead.next()) take(next);
}

void check_output(const std::string& path, Replace replace) {
  if (path == "-" || is_device(path)) return;
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0) {
    if (replace == Replace::no) throw already_there(path);
    if (!S_ISREG(status.st_mode)) {
      throw Error(Kind::io, fmt::format("replace {}: it is not a regular file", quoted(path)));
    }
  }
  const fs::path folder = folder_of(path);
  if (access(folder.c_str(), W_OK | X_OK) == 0) return;
  if (errno != ENOENT) fail("write", path, errno);
  throw Error(Kind::io, fmt::format("write {}: {}", quoted(path), std::strerror(ENOENT)))
      .hint("make its folder first: mkdir -p " + shell_word(folder.string()));
}

namespace {

std::string name_of(const std::string& path) { return path == "-" ? "standard output" : path; }

// Standard output, or a device.
void write_through(const std::string& path, const std::function<void(int fd)>& write) {
  if (path == "-") return write(STDOUT_FILENO);
  const Descriptor device(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (device.get() < 0) fail("write", path, errno);
  write(device.get());
}

void make_durable(const TemporaryFile& file, const std::string& path, FileMode mode) {
  if (fchmod(file.fd(), mode.bits) != 0) fail("write", path, errno);
  if (fsync(file.fd()) != 0) fail("write", path, errno);
}

void give_name(TemporaryFile& file, const std::string& path, Replace replace) {
  const Descriptor folder = open_folder(folder_of(path));
  file.put_in_place(replace);
  try {
    sync_folder(folder, folder_of(path));
  } catch (const Error&) {
    if (replace == Replace::no) unlink(path.c_str());  // not durable: as if it had not been written
    throw;
  }
}

// Durable, with its mode, then its name.
void keep(TemporaryFile& file, const std::string& path, FileMode mode, Replace replace) {
  make_durable(file, path, mode);
  give_name(file, path, replace);
}

}  // namespace

void write_file(const std::string& path, ByteView content, FileMode mode, Replace replace) {
  check_output(path, replace);
  if (path == "-" || is_device(path))
    return write_through(path, [&](int fd) { write_all(fd, content, name_of(path)); });
  TemporaryFile file(path);
  write_all(file.fd(), content, path);
  keep(file, path, mode, replace);
}

void write_file(const std::string& path, FileMode mode, Replace replace,
                const std::function<void(NewFile&)>& fill) {
  check_output(path, replace);
  const bool through = path == "-" || is_device(path);
  TemporaryFile file(through ? (fs::temp_directory_path() / "hsmith").string() : path);
  NewFile made(file.fd(), path);
  fill(made);
  if (!through) return keep(file, path, mode, replace);
  made.rewind();
  write_through(path, [&](int fd) {
    std::array<unsigned char, 65536> block;
    for (ssize_t got = 0; (got = read(file.fd(), block.data(), block.size())) != 0;) {
      if (got < 0) fail("read again", path, errno);
      write_all(fd, ByteView(block).first(static_cast<std::size_t>(got)), name_of(path));
    }
  });
}

std::function<void()> prepare_file(const std::string& path, ByteView content, FileMode mode,
                                   Replace replace) {
  check_output(path, replace);
  if (path == "-" || is_device(path)) {
    return [path, whole = to_bytes(content)] {
      write_through(path, [&](int fd) { write_all(fd, whole, name_of(path)); });
    };
  }
  const auto file = std::make_shared<TemporaryFile>(path);
  write_all(file->fd(), content, path);
  make_durable(*file, path, mode);
  return [file, path, replace] { give_name(*file, path, replace); };
}

void move_file(const std::string& from, const std::string& to, Replace replace) {
  const unsigned flags = replace == Replace::yes ? 0 : RENAME_NOREPLACE;
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) != 0) {
    if (errno == EEXIST) throw already_there(to);
    fail("write", to, errno);
  }
  sync_folder(folder_of(to));
}

void NewFile::put(ByteView bytes) { write_all(fd_, bytes, path_); }

void NewFile::rewind() {
  if (lseek(fd_, 0, SEEK_SET) != 0) fail("read again", path_, errno);
}

bool NewFile::get(std::span<unsigned char> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = read(fd_, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read again", path_, errno);
    if (got == 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

bool NewFile::at_end() {
  unsigned char byte = 0;
  return !get({&byte, 1});
}

fs::path replacement_of(const fs::path& path) {
  return folder_of(path.string()) / ("." + path.filename().string() + ".hsmith-new");
}

void sync_folder(const fs::path& folder) { sync_folder(open_folder(folder), folder); }

void make_private_folder(const fs::path& folder) {
  std::error_code ignored;
  if (folder.empty() || fs::is_directory(folder, ignored)) return;
  make_private_folder(folder.parent_path());
  if (mkdir(folder.c_str(), 0700) == 0) return;
  const int error = errno;
  const bool made_by_another = error == EEXIST && fs::is_directory(folder, ignored);
  if (!made_by_another) fail("make the folder", folder, error);
}

void refuse_writable_by_others(const std::string& path, std::string_view what) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) fail("read", path, errno);
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return;
  throw Error(Kind::unsafe_permissions,
              fmt::format("read {} {}: others may write to it", what, quoted(path)))
      .hint("chmod go-w " + shell_word(path));
}

}  // namespace hsmith
