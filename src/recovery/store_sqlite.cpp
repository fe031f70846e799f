#include "src/recovery/store_sqlite.h"

#include <deque>
#include <optional>

#include "src/base/error.h"
#include "src/base/sqlite.h"
#include "src/recovery/store_rows.h"

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

// A blob that is too long is not read: one longer than SQLite's own limit would end the statement.
#define KEY_COLUMNS                                                                        \
  "id, seal, certificate, CASE WHEN length(blob) <= 65536 THEN blob ELSE zeroblob(65537) " \
  "END, origin, time, chain"
static_assert(kMostBlob == 65536);

// Statements are parsed once a store. Each is reset after its use: one that is not keeps the
// database as it was at its first row.
class Statements {
 public:
  explicit Statements(Database& database) : database_(database) {}

  class Use {
   public:
    explicit Use(Statement& statement) : statement_(statement) {}
    Use(const Use&) = delete;
    ~Use() { statement_.reset(); }
    Statement* operator->() { return &statement_; }
    Statement& operator*() { return statement_; }

   private:
    Statement& statement_;
  };

  // `sql` is a literal of this file.
  Use use(const char* sql) {
    for (auto& [text, statement] : all_) {
      if (text == sql) return Use(statement);
    }
    return Use(all_.emplace_back(sql, database_.prepare(sql)).second);
  }

 private:
  Database& database_;
  std::deque<std::pair<const char*, Statement>> all_;  // whose elements stay where they are
};

std::int64_t cursor_of(Statements& statements) {
  auto query = statements.use("SELECT value FROM cursor WHERE one = 1");
  if (!query->step()) throw Error(Kind::malformed, "the archive has no cursor");
  return query->integer(0);
}

class SqliteChange : public StoreChange {
 public:
  // Without a transaction, commit() leaves that to the caller, who has one.
  SqliteChange(Statements& statements, std::unique_ptr<Transaction> transaction)
      : statements_(statements), transaction_(std::move(transaction)) {}

  std::int64_t next_key() override {
    auto query = statements_.use("SELECT coalesce(max(id), 0) + 1 FROM archived_key");
    query->step();
    return query->integer(0);
  }
  std::int64_t take_cursor(std::int64_t step) override {
    if (!cursor_) cursor_ = usable_cursor(cursor_of(statements_));
    const std::int64_t value = *cursor_;
    *cursor_ += step;
    return value;
  }
  void set_cursor(std::int64_t value) override { cursor_ = value; }
  void add_object(ByteView sha256, ByteView der) override {
    statements_
        .use(
            "INSERT INTO object VALUES (?1, ?2) ON CONFLICT DO UPDATE SET der = ?2 WHERE der <> ?2")
        ->bind(1, sha256)
        .bind(2, der)
        .run();
  }
  void add_seal(const SealRow& seal) override {
    statements_.use("INSERT INTO seal VALUES (?, ?, ?)")
        ->bind(1, seal.number)
        .bind(2, seal.content)
        .bind(3, seal.signature)
        .run();
  }
  void add_key(const KeyRow& key, const std::vector<Term>& terms) override {
    statements_.use("INSERT INTO archived_key VALUES (?, ?, ?, ?, ?, ?, ?)")
        ->bind(1, key.id)
        .bind(2, key.seal)
        .bind(3, key.certificate)
        .bind(4, key.blob)
        .bind(5, key.origin)
        .bind(6, static_cast<std::int64_t>(key.time))
        .bind(7, joined_hashes(key.chain))
        .run();
    add_agents(key);
    auto insert = statements_.use("INSERT INTO term VALUES (?, ?, ?)");
    for (const Term& term : terms)
      insert->bind(1, term.value).bind(2, term.kind).bind(3, key.id).run();
  }
  void replace_key(const KeyRow& key) override {
    statements_.use("UPDATE archived_key SET seal = ?, blob = ? WHERE id = ?")
        ->bind(1, key.seal)
        .bind(2, key.blob)
        .bind(3, key.id)
        .run();
    statements_.use("DELETE FROM recipient WHERE key = ?")->bind(1, key.id).run();
    add_agents(key);
  }
  void remove_key(std::int64_t id) override {
    for (const char* sql : {"DELETE FROM recipient WHERE key = ?", "DELETE FROM term WHERE key = ?",
                            "DELETE FROM archived_key WHERE id = ?"})
      statements_.use(sql)->bind(1, id).run();
  }
  void commit() override {
    if (cursor_)
      statements_.use("UPDATE cursor SET value = ? WHERE one = 1")->bind(1, *cursor_).run();
    if (transaction_) transaction_->commit();
  }

 private:
  void add_agents(const KeyRow& key) {
    auto insert = statements_.use("INSERT INTO recipient VALUES (?, ?)");
    for (const Bytes& agent : key.agents) insert->bind(1, key.id).bind(2, agent).run();
  }

  Statements& statements_;
  std::unique_ptr<Transaction> transaction_;
  std::optional<std::int64_t> cursor_;  // once it was looked at
};

class SqliteStore : public Store {
 public:
  SqliteStore(const std::filesystem::path& file, StoreMode mode)
      : database_(file, kSchema,
                  mode == StoreMode::read ? DatabaseMode::read : DatabaseMode::change),
        statements_(database_) {
    if (mode == StoreMode::read) database_.execute("BEGIN");
  }

  std::string name() const override { return "sqlite:" + database_.path(); }

  std::optional<SealRow> seal(std::int64_t number) override {
    auto query = statements_.use("SELECT number, content, signature FROM seal WHERE number = ?");
    query->bind(1, number);
    if (!query->step()) return std::nullopt;
    return seal_of(*query);
  }
  std::optional<SealRow> last_seal() override {
    auto query =
        statements_.use("SELECT number, content, signature FROM seal ORDER BY number DESC LIMIT 1");
    if (!query->step()) return std::nullopt;
    return seal_of(*query);
  }
  std::int64_t cursor() override { return cursor_of(statements_); }
  std::optional<Bytes> object(ByteView sha256) override {
    auto query = statements_.use("SELECT der FROM object WHERE sha256 = ?");
    query->bind(1, sha256);
    if (!query->step()) return std::nullopt;
    return query->blob(0, kMostSeal);
  }
  std::optional<KeyRow> key(std::int64_t id) override {
    auto query = statements_.use("SELECT " KEY_COLUMNS " FROM archived_key WHERE id = ?");
    query->bind(1, id);
    if (!query->step()) return std::nullopt;
    return key_of(*query);
  }
  std::vector<std::int64_t> find(std::string_view kind, std::string_view value,
                                 std::size_t limit) override {
    auto query = statements_.use(
        kind.empty() ? "SELECT DISTINCT key FROM term WHERE value = ?1 ORDER BY key LIMIT ?2"
                     : "SELECT key FROM term WHERE value = ?1 AND kind = ?3 ORDER BY key LIMIT ?2");
    query->bind(1, value).bind(2, static_cast<std::int64_t>(limit));
    if (!kind.empty()) query->bind(3, kind);
    std::vector<std::int64_t> found;
    while (query->step()) found.push_back(query->integer(0));
    return found;
  }
  std::vector<Term> terms(std::int64_t id) override {
    auto query = statements_.use("SELECT kind, value FROM term WHERE key = ?");
    query->bind(1, id);
    std::vector<Term> found;
    while (query->step()) {
      refuse_too_many(found.size(), kMostTerms, "search terms");
      found.push_back({query->text(0), query->text(1, kMostTerm)});
    }
    return found;
  }
  std::int64_t count_keys() override {
    auto query = statements_.use("SELECT count(*) FROM archived_key");
    query->step();
    return query->integer(0);
  }
  void each_seal(const std::function<void(const SealRow&)>& take) override {
    auto query = statements_.use("SELECT number, content, signature FROM seal ORDER BY number");
    while (query->step()) take(seal_of(*query));
  }
  void each_key(const std::function<void(const KeyRow&)>& take) override {
    auto query = statements_.use("SELECT " KEY_COLUMNS " FROM archived_key ORDER BY id");
    while (query->step()) take(key_of(*query));
  }
  void each_key_with_terms(const TakeKey& take) override {
    each_key([&](const KeyRow& key) { take(key, terms(key.id)); });
  }
  void each_object(const std::function<void(ByteView, ByteView)>& take) override {
    auto query = statements_.use("SELECT sha256, der FROM object");
    while (query->step()) take(query->blob(0, 32), query->blob(1, kMostSeal));
  }
  std::string integrity_problem() override { return database_.integrity_problem(); }
  std::unique_ptr<StoreChange> change() override {
    return std::make_unique<SqliteChange>(statements_, std::make_unique<Transaction>(database_));
  }

 private:
  static SealRow seal_of(Statement& row) {
    return SealRow{row.integer(0), row.blob(1, kMostSeal), row.blob(2)};
  }

  KeyRow key_of(Statement& row) {
    KeyRow key{row.integer(0),
               row.integer(1),
               row.blob(2, 32),
               row.blob(3, kMostBlob),
               row.text(4),
               row.integer(5),
               parted_hashes(row.blob(6, kMostChain)),
               {}};
    auto agents = statements_.use("SELECT agent FROM recipient WHERE key = ? ORDER BY agent");
    agents->bind(1, key.id);
    key.agents.reserve(4);  // growing would cost more than reading them
    while (agents->step()) {
      refuse_too_many(key.agents.size(), kMostAgents, "agents");
      key.agents.push_back(agents->blob(0, 32));
    }
    return key;
  }

  Database database_;
  Statements statements_;
};

}  // namespace

void create_sqlite_store(const std::filesystem::path& file,
                         const std::function<void(StoreChange&)>& fill) {
  create_database(file, kSchema, [&](Database& database) {
    if (!fill) return;
    Statements statements(database);
    SqliteChange change(statements, nullptr);
    fill(change);
    change.commit();
  });
}

std::unique_ptr<Store> open_sqlite_store(const std::filesystem::path& file, StoreMode mode) {
  return std::make_unique<SqliteStore>(file, mode);
}

}  // namespace hsmith::recovery
