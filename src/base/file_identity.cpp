#include "src/base/file_identity.h"

#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace hsmith {
namespace {

namespace fs = std::filesystem;

// Where a path cannot be followed, its text decides.
fs::path canonical(const std::string& path) {
  std::error_code failed;
  const fs::path whole = fs::absolute(path, failed);
  const fs::path found = fs::weakly_canonical(whole, failed);
  return failed ? whole.lexically_normal() : found;
}

bool is_there(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0;
}

}  // namespace

std::optional<FileIdentity> identity_of(const std::string& path) {
  struct stat status {};
  if (path == "-" || stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  return FileIdentity{status.st_dev, status.st_ino};
}

bool is_same_file(const std::string& one, const std::string& other) {
  for (const std::string& path : {one, other}) {
    if (path.empty() || path == "-") return false;
  }
  if (!is_there(one) || !is_there(other)) return canonical(one) == canonical(other);
  const auto identity = identity_of(one);
  return identity && identity == identity_of(other);
}

bool is_standard_input(const std::string& path) {
  if (path == "-") return true;
  struct stat named {};
  struct stat standard {};
  return stat(path.c_str(), &named) == 0 && fstat(STDIN_FILENO, &standard) == 0 &&
         !S_ISREG(named.st_mode) && named.st_dev == standard.st_dev &&
         named.st_ino == standard.st_ino;
}

}  // namespace hsmith
