// Key backups: whatever the file says, it is read or refused before a token is asked, and what is
// read is all that is in it.
#include <cstdlib>

#include "src/base/error.h"
#include "tokens/backup_file.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace hsmith;
  const ByteView content{data, size};
  try {
    const tokens::Backup backup = tokens::read_backup(content, "fuzz");
    if (backup.keys.empty() || tokens::backup_text(backup) != as_text(content)) std::abort();
    const Bytes to_sign = tokens::backup_to_sign(backup);
    for (const tokens::BackedUpKey& key : backup.keys) {
      if (key.wrapped.size() % 8 != 0 || key.wrapped.size() < 24) std::abort();
      tokens::verify_backup_signature(key, to_sign);
    }
  } catch (const Error& error) {
    if (error.kind() == Kind::internal) std::abort();
  }
  return 0;
}
