// Files: read within limits, written whole or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "src/base/bytes.h"
#include "src/base/secret.h"

namespace hsmith {

// No file that is parsed whole is larger than this: certificates, requests, lists, settings.
inline constexpr std::size_t kFileLimit = 64u << 20;

// An open descriptor, closed at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return fd_; }
  int release();

 private:
  int fd_;
};

// The whole of a file, or of standard input for "-". Throws io when it cannot be read, malformed
// when it is a folder or larger than `limit`.
Bytes read_file(const std::string& path, std::size_t limit = kFileLimit);

// Calls `take` with each block of a file of any size ("-": standard input), in order.
void read_blocks(const std::string& path, const std::function<void(ByteView)>& take);

enum class Replace { no, yes };

struct FileMode {
  unsigned bits = 0644;
};
inline constexpr FileMode kPublicFile{0644};
inline constexpr FileMode kPrivateFile{0600};

// Throws exists when `path` is there already and replacing it was not asked for, and io when its
// folder cannot be written: to be called before the first change elsewhere. "-" always passes.
void check_output(const std::string& path, Replace replace);

// Writes a file that has no name until it is whole, fsyncs it, gives it its name, fsyncs the
// folder. On any failure nothing of it remains and an older file is untouched. The mode is exact,
// whatever the umask. "-" is standard output; a character device is written to as it is.
void write_file(const std::string& path, ByteView content, FileMode mode, Replace replace);

// The name that a file has between being whole and replacing `path`; a process that is killed in
// this moment leaves it there.
std::filesystem::path replacement_of(const std::filesystem::path& path);

// Makes the names in a folder durable. Throws io.
void sync_folder(const std::filesystem::path& folder);

// Makes a folder and its parents, each new one 0700.
void make_private_folder(const std::filesystem::path& folder);

// Reads what follows is a file of the user's own: throws unsafe_permissions when group or others
// may write to it.
void refuse_writable_by_others(const std::string& path, std::string_view what);

}  // namespace hsmith
