// An authority's file, row by row: of a backup before it is trusted.
#pragma once

#include <cstddef>

#include "src/base/sqlite.h"

namespace hsmith::ca {

struct StoreCounts {
  std::size_t authorities = 0;
  std::size_t issued = 0;
  std::size_t revoked = 0;

  bool operator==(const StoreCounts&) const = default;
};

// Every page and index, every certificate with its signature and its serial number, every
// revocation. Throws malformed, io or mismatch with what is wrong.
StoreCounts check_store(Database& store);

}  // namespace hsmith::ca
