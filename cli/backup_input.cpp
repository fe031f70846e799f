#include "cli/backup_input.h"

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

}  // namespace hsmith::cli
