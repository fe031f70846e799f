// Locks between processes: advisory, on files, released by the kernel when their holder dies.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "src/base/environment.h"
#include "src/base/files.h"

namespace hsmith {

// An exclusive lock, held for as long as the object lives.
class FileLock {
 public:
  // Waits at most `timeout` (0: one try). Throws busy with the holder's process id. The file is
  // made 0600 and stays; a symbolic link in its place is refused.
  static FileLock acquire(const std::filesystem::path& path, std::chrono::milliseconds timeout);

 private:
  explicit FileLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

// The folder for locks: the configured one, else $XDG_RUNTIME_DIR/hsmith, else the state folder's
// "lock"; never one in /tmp that somebody else could have put there. Made 0700 when it is not
// there. Throws unsafe_permissions when anybody else may write to it.
std::filesystem::path lock_folder(const std::optional<std::string>& configured,
                                  const Environment& environment);

}  // namespace hsmith
