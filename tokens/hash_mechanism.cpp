#include "tokens/hash_mechanism.h"

#include <fmt/format.h>

#include "src/base/error.h"

namespace hsmith::tokens {
namespace {

constexpr HashMechanism kHashes[] = {{"sha1", CKM_SHA_1, CKG_MGF1_SHA1},
                                     {"sha256", CKM_SHA256, CKG_MGF1_SHA256},
                                     {"sha384", CKM_SHA384, CKG_MGF1_SHA384},
                                     {"sha512", CKM_SHA512, CKG_MGF1_SHA512}};

}  // namespace

const HashMechanism& hash_mechanism(const ossl::DigestType& digest) {
  for (const HashMechanism& entry : kHashes) {
    if (std::string_view(digest.name) == entry.digest) return entry;
  }
  throw Error(Kind::unsupported,
              fmt::format("{} is not a digest of PKCS#11's mechanisms", digest.name));
}

}  // namespace hsmith::tokens
