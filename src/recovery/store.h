// The rows of an archive, wherever they are kept. Nothing here is believed: archive.h holds it
// against the seals.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"

namespace hsmith::recovery {

// One change of the archive: what it made (JSON), and the seal key's signature over it.
struct SealRow {
  std::int64_t number = 0;  // from 1, without gaps
  Bytes content;
  Bytes signature;
};

// A key in the archive. Certificates are named by the SHA-256 of their DER.
struct KeyRow {
  std::int64_t id = 0;
  std::int64_t seal = 0;  // the last change of this row
  Bytes certificate;
  Bytes blob;          // ContentInfo(EnvelopedData)
  std::string origin;  // "own" or "foreign"
  std::time_t time = 0;
  std::vector<Bytes> chain;   // the certificate's issuers, as far as they were given
  std::vector<Bytes> agents;  // whose keys open the blob

  bool operator==(const KeyRow&) const = default;
};

// What a key is found by: kind "cn", "email", "upn", "user", "serial", "thumbprint", "keyid"; the
// value in lower case.
struct Term {
  std::string kind;
  std::string value;

  auto operator<=>(const Term&) const = default;
};

// Rows are input: what is larger than this is refused, and never read whole.
inline constexpr std::size_t kMostBlob = 65536;
inline constexpr std::size_t kMostSeal = 16u << 20;  // certificates and CRLs too
inline constexpr std::size_t kMostTerm = 4096;
inline constexpr std::size_t kMostChain = 100 * 32;
inline constexpr std::size_t kMostAgents = 1000;
inline constexpr std::size_t kMostTerms = 1000;

// One transaction: all of it or nothing. Undone unless commit() returned.
class StoreChange {
 public:
  virtual ~StoreChange() = default;
  virtual std::int64_t next_key() = 0;
  // The cursor's value; it is advanced by `step`.
  virtual std::int64_t take_cursor(std::int64_t step) = 0;
  virtual void set_cursor(std::int64_t value) = 0;
  // A certificate or a CRL, DER; again is nothing new, and mends one that is damaged.
  virtual void add_object(ByteView sha256, ByteView der) = 0;
  virtual void add_seal(const SealRow& seal) = 0;
  virtual void add_key(const KeyRow& key, const std::vector<Term>& terms) = 0;
  // Another blob and other agents for a key that is there.
  virtual void replace_key(const KeyRow& key) = 0;
  // With its agents and terms; add_key may give the number to another row.
  virtual void remove_key(std::int64_t id) = 0;
  virtual void commit() = 0;
};

// read: everything as it was at the first look, whatever others change meanwhile.
enum class StoreMode { read, change };

class Store {
 public:
  virtual ~Store() = default;
  virtual std::string name() const = 0;  // "sqlite:/path", for messages
  virtual std::optional<SealRow> seal(std::int64_t number) = 0;
  virtual std::optional<SealRow> last_seal() = 0;
  virtual std::int64_t cursor() = 0;
  virtual std::optional<Bytes> object(ByteView sha256) = 0;
  virtual std::optional<KeyRow> key(std::int64_t id) = 0;
  // Ids in ascending order, at most `limit`. An empty kind means any kind.
  virtual std::vector<std::int64_t> find(std::string_view kind, std::string_view value,
                                         std::size_t limit) = 0;
  virtual std::vector<Term> terms(std::int64_t id) = 0;
  virtual std::int64_t count_keys() = 0;
  // All rows, in ascending order; few of them are in memory at a time.
  virtual void each_seal(const std::function<void(const SealRow&)>& take) = 0;
  virtual void each_key(const std::function<void(const KeyRow&)>& take) = 0;
  using TakeKey = std::function<void(const KeyRow&, const std::vector<Term>&)>;
  virtual void each_key_with_terms(const TakeKey& take) = 0;
  virtual void each_object(const std::function<void(ByteView sha256, ByteView der)>& take) = 0;
  // What the database itself finds wrong; "" when nothing.
  virtual std::string integrity_problem() = 0;
  // Waits for other writers; throws busy when that takes too long.
  virtual std::unique_ptr<StoreChange> change() = 0;
};

}  // namespace hsmith::recovery
