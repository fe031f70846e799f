// Certificate revocation lists that an authority signs (RFC 5280, 5).
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/sqlite.h"
#include "src/ca/certificate.h"
#include "src/ca/revoke.h"

namespace hsmith::ca {

// A list that was numbered and recorded, and is to be signed.
struct CrlPlan {
  std::int64_t number = 0;
  std::optional<std::int64_t> base;  // a delta: the list that it adds to
  int generation = 1;                // of the key that signs
  std::time_t this_update = 0;
  std::time_t next_update = 0;
  std::vector<Revoked> entries;
};

enum class CrlKind { complete, delta };

// What the next list would be. A delta adds to the last complete list of the same key. Throws
// not_found when there is none yet.
CrlPlan plan_crl(Database& store, CrlKind kind, int generation, std::time_t now,
                 std::time_t next_update);
// Takes the number: it will not be given again.
void record_crl(Database& store, const CrlPlan& plan);

// Signs the list, parses it again, verifies it and compares it with the plan. DER.
Bytes sign_crl(const CrlPlan& plan, const Signer& signer);
std::string crl_pem(ByteView der);

}  // namespace hsmith::ca
