// An archive: its settings, and every change of it, signed by the seal key. The seal key's
// certificate is pinned outside of the store, so nothing in the store is believed without it.
#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"
#include "src/ossl/remote_key.h"
#include "src/recovery/store.h"

namespace hsmith::recovery {

enum class Selection { round_robin, spread, all };
const char* selection_name(Selection selection);   // "roundrobin", "spread", "all"
Selection selection_named(std::string_view name);  // throws usage

// How a token decrypts: what was probed when the agent was added.
inline constexpr const char* kOaepSha256 = "oaep-sha256";
inline constexpr const char* kOaepSha1 = "oaep-sha1";
inline constexpr const char* kPkcs1 = "pkcs1";

struct Agent {
  Bytes certificate;                   // SHA-256 of the DER, as everywhere below
  std::vector<std::string> abilities;  // the best first; at least one
};

struct Officer {
  Bytes certificate;
  std::string subjects;  // whose keys: a pattern for the subject, "*" for all
};

struct Settings {
  std::string id;  // of the archive: 128 random bits, hex
  int kras_per_key = 1;
  Selection selection = Selection::round_robin;
  bool allow_foreign = false;
  bool role_separation = false;  // no officer may have the seal key
  bool require_revoked = false;  // a key is given out once its certificate is revoked
  std::vector<Agent> agents;
  std::vector<Officer> officers;
  std::vector<Bytes> anchors;
  std::vector<Bytes> crls;
};

// An open archive whose last seal and settings were verified.
struct Archive {
  std::unique_ptr<Store> store;
  ossl::Certificate seal_certificate;
  Settings settings;
  std::int64_t settings_seal = 0;  // the newest seal that has settings
  std::int64_t last_seal = 0;
  std::int64_t last_key = 0;  // the highest number that a key ever got, as the last seal says
  std::string last_hash;      // SHA-256 of the last seal's content, hex
};

// Verifies the newest seal and the newest settings. Throws malformed, mismatch when a signature is
// not the seal key's.
Archive open_archive(std::unique_ptr<Store> store, X509* seal_certificate);

// What one change adds; sealed and committed as one.
struct ArchiveChange {
  std::vector<Bytes> objects;  // certificates and CRLs, DER
  std::optional<Settings> settings;
  std::vector<KeyRow> keys;       // new ones: ids, seal and time are given here
  std::vector<KeyRow> rewrapped;  // other blobs for keys that are there
  std::vector<KeyRow> restored;   // whole rows in the place of damaged ones, under their numbers
  // By certificate, what its key is found by; the others' certificates are read once more.
  std::map<Bytes, std::vector<Term>> terms;
};

// Signs the change with the seal key, commits it in `change`, the transaction in which cursors
// were taken, and reads all of it again. The archive is what it became. Throws busy when another
// process changed the settings since it was opened, io when what was committed is not what is
// there, and what the key throws.
void commit_change(Archive& archive, StoreChange& change, ArchiveChange what,
                   const std::shared_ptr<ossl::RemoteKey>& seal_key, std::time_t now);

// Reads a row again and holds it against its seal: throws mismatch when it was edited.
KeyRow checked_key(Archive& archive, std::int64_t id);

// Where the key of a certificate stands in the archive.
struct Archived {
  std::optional<KeyRow> row;  // as it was sealed
  bool damaged = false;  // it, its certificate, or what may have been it, is not what was sealed
};
// By the SHA-256 of the certificate. What a search term says is not believed: rows of other
// certificates that it leads to are passed over.
Archived archived_key(Archive& archive, ByteView certificate);
// A key's row as it was sealed last.
struct SealedRow {
  std::int64_t id = 0;
  std::string fingerprint;
};
// By the SHA-256 of the keys' certificates, from all seals. A number that a later seal gives to
// another key is that key's.
std::map<Bytes, SealedRow> sealed_rows(Archive& archive);
// The object of this hash; throws mismatch when it is missing or another one.
Bytes checked_object(Archive& archive, ByteView sha256);
ossl::Certificate checked_certificate(Archive& archive, ByteView sha256);
std::vector<ossl::Certificate> checked_certificates(Archive& archive,
                                                    const std::vector<Bytes>& hashes);

struct ArchiveCounts {
  std::size_t seals = 0;
  std::size_t keys = 0;
  std::size_t objects = 0;
};
// Everything: the chain of seals, each row against the seal that made it, no row missing or too
// many, every certificate and search term, every blob's structure. Problems, one line each.
std::vector<std::string> verify_archive(Archive& archive, ArchiveCounts& counts);

// The terms by which a certificate's key is found.
std::vector<Term> terms_of(X509* certificate);

Bytes sha256_of(ByteView data);

}  // namespace hsmith::recovery
