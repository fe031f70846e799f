#include "src/recovery/store_copy.h"

namespace hsmith::recovery {

void copy_archive(Store& from, StoreChange& to) {
  to.set_cursor(from.cursor());
  from.each_object([&](ByteView sha256, ByteView der) { to.add_object(sha256, der); });
  from.each_seal([&](const SealRow& seal) { to.add_seal(seal); });
  from.each_key_with_terms(
      [&](const KeyRow& key, const std::vector<Term>& terms) { to.add_key(key, terms); });
}

}  // namespace hsmith::recovery
