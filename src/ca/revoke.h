// Revocations, as events: the last one of a certificate counts.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/sqlite.h"
#include "src/ca/store.h"

namespace hsmith::ca {

// The reasons of RFC 5280, 5.3.1, in its words ("keyCompromise"); case does not matter. Throws
// usage with the nearest.
std::string parse_reason(std::string_view word);
// The number of a reason's word in a CRL.
int reason_code(std::string_view reason);

// 16 or so bytes from hex, with or without ':' and a leading "0x". Throws usage.
Bytes parse_serial(std::string_view text);

// Throws what stands against it: not_found for a serial number that was never given, exists when it
// is revoked already. A certificate on hold may be revoked for good, and only such a one released
// (removeFromCRL).
Issued check_revocation(Database& store, ByteView serial, std::string_view reason);
void add_revocation(Database& store, ByteView serial, std::string_view reason, std::time_t time);

// An entry of a list.
struct Revoked {
  Bytes serial;
  std::time_t time = 0;
  std::string reason;
};
// All that are revoked; with `since` only what changed after the event of that number: released
// ones then come as removeFromCRL, if they were revoked at that event.
std::vector<Revoked> revoked(Database& store, std::optional<std::int64_t> since = {});
// The number of the last event; 0 when there was none.
std::int64_t last_event(Database& store);

}  // namespace hsmith::ca
