#include "cli/backup_input.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/text.h"
#include "src/x509/kind.h"

namespace hsmith::cli {

tokens::Backup read_backup_file(const std::string& file) {
  const Bytes content = read_file(file, tokens::kBackupLimit);
  if (x509::kind_of(content) != "a JSON file")
    x509::refuse_kind(content, quoted(file), "a key backup");
  return tokens::read_backup(content, quoted(file));
}

void check_database_file(const std::string& file) {
  const auto fail = [&](Kind kind, const std::string& why) {
    throw Error(kind, fmt::format("read {}: {}", quoted(file), why));
  };
  const Descriptor opened(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (opened.get() < 0) fail(Kind::io, std::strerror(errno));
  struct stat is = {};
  if (fstat(opened.get(), &is) != 0) fail(Kind::io, std::strerror(errno));
  if (S_ISDIR(is.st_mode)) fail(Kind::malformed, "it is a folder");
}

}  // namespace hsmith::cli
