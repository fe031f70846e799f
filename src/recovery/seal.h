// Seals: what one change of an archive made, as signed JSON.
#pragma once

#include <map>
#include <set>
#include <string>

#include "src/recovery/archive.h"

namespace hsmith::recovery {

// What a seal says of a row.
struct SealedKey {
  std::string fingerprint;
  Bytes certificate;  // whose key it is; the first archives' seals do not say it
  bool is_new = false;
};

struct Seal {
  std::int64_t number = 0;
  std::string previous;  // SHA-256 of the content of the seal before, hex; "" for the first
  std::time_t time = 0;
  std::int64_t settings_seal = 0;  // the newest seal that has settings, perhaps this one
  std::optional<Settings> settings;
  std::map<std::int64_t, SealedKey> keys;  // new and rewrapped rows, by their numbers
  std::size_t new_keys = 0;
  std::vector<Bytes> objects;  // certificates and CRLs that came; the first archives do not say it
  std::int64_t last_key = 0;   // the highest number that a key ever got; 0 in the first archives
};

// SHA-256 over all of a row but the seal's number, hex.
std::string fingerprint(const KeyRow& key);

// Verifies the signature and reads it. Throws mismatch, malformed.
Seal checked_seal(const Archive& archive, const SealRow& row);
// The settings that a seal holds; throws mismatch when it holds none.
Settings settings_at(Archive& archive, std::int64_t seal);
// Who was ever an agent, by the settings in all seals. Throws mismatch, malformed where a seal is
// missing or is not what was signed.
std::set<Bytes> agents_of_all_seals(Archive& archive);

// The next seal, signed, its signature verified with the pinned certificate. Throws mismatch when
// the key is another one.
SealRow make_seal(const Archive& archive, const ArchiveChange& change, ossl::RemoteKey& seal_key,
                  std::time_t now);

}  // namespace hsmith::recovery
