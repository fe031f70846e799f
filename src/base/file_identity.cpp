#include "src/base/file_identity.h"

#include <sys/stat.h>

namespace hsmith {

std::optional<FileIdentity> identity_of(const std::string& path) {
  struct stat status {};
  if (path == "-" || stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  return FileIdentity{status.st_dev, status.st_ino};
}

bool is_same_file(const std::string& one, const std::string& other) {
  const auto identity = identity_of(one);
  return identity && identity == identity_of(other);
}

}  // namespace hsmith
