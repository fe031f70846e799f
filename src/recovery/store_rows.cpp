#include "src/recovery/store_rows.h"

#include <fmt/format.h>

#include "src/base/error.h"

namespace hsmith::recovery {
namespace {

constexpr std::size_t kHash = 32;

}  // namespace

Bytes joined_hashes(const std::vector<Bytes>& hashes) {
  Bytes joined;
  for (const Bytes& hash : hashes) joined.insert(joined.end(), hash.begin(), hash.end());
  return joined;
}

std::vector<Bytes> parted_hashes(ByteView joined) {
  if (joined.size() % kHash != 0) throw Error(Kind::malformed, "read a chain of the archive");
  std::vector<Bytes> hashes;
  hashes.reserve(joined.size() / kHash);
  for (std::size_t at = 0; at < joined.size(); at += kHash)
    hashes.push_back(to_bytes(joined.subspan(at, kHash)));
  return hashes;
}

std::int64_t usable_cursor(std::int64_t stored) { return stored & (INT64_MAX >> 1); }

void refuse_too_many(std::size_t have, std::size_t most, const char* what) {
  if (have < most) return;
  throw Error(Kind::malformed,
              fmt::format("read a key of the archive: it has more than {} {}", most, what));
}

}  // namespace hsmith::recovery
