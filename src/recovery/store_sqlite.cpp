#include "src/recovery/store_sqlite.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/sqlite.h"
#include "src/base/text.h"

namespace hsmith::recovery {
namespace {

constexpr Schema kSchema{
    "key archive", 0x68736b61, 1,
    "CREATE TABLE cursor (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL) STRICT;"
    "INSERT INTO cursor VALUES (1, 0);"
    "CREATE TABLE object (sha256 BLOB PRIMARY KEY, der BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE seal (number INTEGER PRIMARY KEY, content BLOB NOT NULL, signature BLOB NOT "
    "NULL) "
    "STRICT;"
    "CREATE TABLE archived_key (id INTEGER PRIMARY KEY, seal INTEGER NOT NULL REFERENCES seal, "
    "certificate BLOB NOT NULL REFERENCES object, blob BLOB NOT NULL, origin TEXT NOT NULL, "
    "time INTEGER NOT NULL, chain BLOB NOT NULL) STRICT;"
    "CREATE TABLE recipient (key INTEGER NOT NULL REFERENCES archived_key, agent BLOB NOT NULL "
    "REFERENCES object, PRIMARY KEY (key, agent)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX recipient_agent ON recipient (agent);"
    "CREATE TABLE term (value TEXT NOT NULL, kind TEXT NOT NULL, key INTEGER NOT NULL REFERENCES "
    "archived_key, PRIMARY KEY (value, kind, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX term_key ON term (key);"};

constexpr std::size_t kMostSeal = 16u << 20;

constexpr std::size_t kHash = 32;

// Hashes one behind the other.
Bytes joined(const std::vector<Bytes>& hashes) {
  Bytes all;
  for (const Bytes& hash : hashes) all.insert(all.end(), hash.begin(), hash.end());
  return all;
}

std::vector<Bytes> parted(const Bytes& all) {
  if (all.size() % kHash != 0) throw Error(Kind::malformed, "read a chain of the archive");
  std::vector<Bytes> hashes;
  for (std::size_t at = 0; at < all.size(); at += kHash)
    hashes.push_back(to_bytes(ByteView(all).subspan(at, kHash)));
  return hashes;
}

class SqliteChange : public StoreChange {
 public:
  explicit SqliteChange(Database& database) : database_(database), transaction_(database) {}

  std::int64_t next_key() override {
    Statement query = database_.prepare("SELECT coalesce(max(id), 0) + 1 FROM archived_key");
    query.step();
    return query.integer(0);
  }
  std::int64_t take_cursor(std::int64_t step) override {
    Statement query = database_.prepare("SELECT value FROM cursor WHERE one = 1");
    if (!query.step()) throw Error(Kind::malformed, "the archive has no cursor");
    const std::int64_t value = query.integer(0);
    query.reset();
    set_cursor(value + step);
    return value;
  }
  void set_cursor(std::int64_t value) override {
    database_.prepare("UPDATE cursor SET value = ? WHERE one = 1").bind(1, value).run();
  }
  void add_object(ByteView sha256, ByteView der) override {
    database_.prepare("INSERT INTO object VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(1, sha256)
        .bind(2, der)
        .run();
  }
  void add_seal(const SealRow& seal) override {
    database_.prepare("INSERT INTO seal VALUES (?, ?, ?)")
        .bind(1, seal.number)
        .bind(2, seal.content)
        .bind(3, seal.signature)
        .run();
  }
  void add_key(const KeyRow& key, const std::vector<Term>& terms) override {
    database_.prepare("INSERT INTO archived_key VALUES (?, ?, ?, ?, ?, ?, ?)")
        .bind(1, key.id)
        .bind(2, key.seal)
        .bind(3, key.certificate)
        .bind(4, key.blob)
        .bind(5, key.origin)
        .bind(6, static_cast<std::int64_t>(key.time))
        .bind(7, joined(key.chain))
        .run();
    add_agents(key);
    Statement insert =
        database_.prepare("INSERT INTO term VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
    for (const Term& term : terms) {
      insert.bind(1, term.value).bind(2, term.kind).bind(3, key.id).run();
    }
  }
  void replace_key(const KeyRow& key) override {
    database_.prepare("UPDATE archived_key SET seal = ?, blob = ? WHERE id = ?")
        .bind(1, key.seal)
        .bind(2, key.blob)
        .bind(3, key.id)
        .run();
    database_.prepare("DELETE FROM recipient WHERE key = ?").bind(1, key.id).run();
    add_agents(key);
  }
  void commit() override { transaction_.commit(); }

 private:
  void add_agents(const KeyRow& key) {
    Statement insert = database_.prepare("INSERT INTO recipient VALUES (?, ?)");
    for (const Bytes& agent : key.agents) insert.bind(1, key.id).bind(2, agent).run();
  }

  Database& database_;
  Transaction transaction_;
};

class SqliteStore : public Store {
 public:
  SqliteStore(const std::filesystem::path& file, StoreMode mode)
      : database_(file, kSchema,
                  mode == StoreMode::read ? DatabaseMode::read : DatabaseMode::change) {}

  std::string name() const override { return "sqlite:" + database_.path(); }

  std::optional<SealRow> seal(std::int64_t number) override {
    Statement query =
        database_.prepare("SELECT number, content, signature FROM seal WHERE number = ?");
    query.bind(1, number);
    return seal_of(query);
  }
  std::optional<SealRow> last_seal() override {
    Statement query = database_.prepare(
        "SELECT number, content, signature FROM seal ORDER BY number DESC LIMIT 1");
    return seal_of(query);
  }
  std::optional<Bytes> object(ByteView sha256) override {
    Statement query = database_.prepare("SELECT der FROM object WHERE sha256 = ?");
    query.bind(1, sha256);
    if (!query.step()) return std::nullopt;
    return query.blob(0, kMostSeal);
  }
  std::optional<KeyRow> key(std::int64_t id) override {
    Statement query = database_.prepare(fmt::format("{} WHERE id = ?", kKeyColumns));
    query.bind(1, id);
    if (!query.step()) return std::nullopt;
    return key_of(query);
  }
  std::vector<std::int64_t> find(std::string_view kind, std::string_view value,
                                 std::size_t limit) override {
    Statement query = database_.prepare(
        kind.empty() ? "SELECT DISTINCT key FROM term WHERE value = ?1 ORDER BY key LIMIT ?2"
                     : "SELECT key FROM term WHERE value = ?1 AND kind = ?3 ORDER BY key LIMIT ?2");
    query.bind(1, value).bind(2, static_cast<std::int64_t>(limit));
    if (!kind.empty()) query.bind(3, kind);
    std::vector<std::int64_t> found;
    while (query.step()) found.push_back(query.integer(0));
    return found;
  }
  std::vector<Term> terms(std::int64_t id) override {
    Statement query = database_.prepare("SELECT kind, value FROM term WHERE key = ?");
    query.bind(1, id);
    std::vector<Term> found;
    while (query.step()) found.push_back({query.text(0), query.text(1)});
    return found;
  }
  void each_key(const std::function<void(const KeyRow&)>& take) override {
    Statement query = database_.prepare(fmt::format("{} ORDER BY id", kKeyColumns));
    while (query.step()) take(key_of(query));
  }
  void each_object(const std::function<void(ByteView, ByteView)>& take) override {
    Statement query = database_.prepare("SELECT sha256, der FROM object");
    while (query.step()) take(query.blob(0), query.blob(1, kMostSeal));
  }
  std::string integrity_problem() override { return database_.integrity_problem(); }
  void copy_to(const std::string& file) override { database_.copy_to(file); }
  std::unique_ptr<StoreChange> change() override {
    return std::make_unique<SqliteChange>(database_);
  }

 private:
  static constexpr const char* kKeyColumns =
      "SELECT id, seal, certificate, blob, origin, time, chain FROM archived_key";

  static std::optional<SealRow> seal_of(Statement& query) {
    if (!query.step()) return std::nullopt;
    return SealRow{query.integer(0), query.blob(1, kMostSeal), query.blob(2)};
  }

  KeyRow key_of(Statement& row) {
    KeyRow key{row.integer(0), row.integer(1), row.blob(2),         row.blob(3, kMostBlob),
               row.text(4),    row.integer(5), parted(row.blob(6)), {}};
    Statement agents =
        database_.prepare("SELECT agent FROM recipient WHERE key = ? ORDER BY agent");
    agents.bind(1, key.id);
    while (agents.step()) key.agents.push_back(agents.blob(0));
    return key;
  }

  Database database_;
};

}  // namespace

void create_sqlite_store(const std::filesystem::path& file) { create_database(file, kSchema); }

std::unique_ptr<Store> open_sqlite_store(const std::filesystem::path& file, StoreMode mode) {
  return std::make_unique<SqliteStore>(file, mode);
}

}  // namespace hsmith::recovery
