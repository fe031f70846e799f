// The archive in a database of PostgreSQL; what the plug-in exports.
#include <fmt/format.h>
#include <map>
#include <pqxx/nontransaction>
#include <pqxx/transaction>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/postgresql/change.h"
#include "src/recovery/postgresql/connection.h"
#include "src/recovery/postgresql/schema.h"
#include "src/recovery/store_plugin.h"
#include "src/recovery/store_rows.h"

namespace hsmith::recovery::postgresql {
namespace {

constexpr std::int64_t kPage = 200;
// Of agents or terms that are read for a page: more is too many, and verify says so.
constexpr std::int64_t kMostRows = 50'000;

#define SEAL_COLUMNS "number, substring(content for 16777217), substring(signature for 65537)"
#define KEY_COLUMNS                                                                        \
  "id, seal, substring(certificate for 33), substring(blob for 65537), left(origin, 17), " \
  "\"time\", substring(chain for 3201)"

// Pages instead of cursors: each page is a statement that its time-out bounds.
constexpr std::pair<const char*, const char*> kStatements[] = {
    {"seal", "SELECT " SEAL_COLUMNS " FROM hsmith.seal WHERE number = $1"},
    {"last_seal", "SELECT " SEAL_COLUMNS " FROM hsmith.seal ORDER BY number DESC LIMIT 1"},
    {"seals",
     "SELECT " SEAL_COLUMNS " FROM hsmith.seal WHERE number > $1 ORDER BY number LIMIT $2"},
    {"cursor", "SELECT value FROM hsmith.cursor WHERE one = 1"},
    {"object", "SELECT substring(der for 16777217) FROM hsmith.object WHERE sha256 = $1"},
    {"objects",
     "SELECT substring(sha256 for 33), substring(der for 16777217) FROM hsmith.object "
     "WHERE sha256 > $1 ORDER BY sha256 LIMIT $2"},
    {"key", "SELECT " KEY_COLUMNS " FROM hsmith.archived_key WHERE id = $1"},
    {"keys", "SELECT " KEY_COLUMNS " FROM hsmith.archived_key WHERE id > $1 ORDER BY id LIMIT $2"},
    {"agents",
     "SELECT key, substring(agent for 33) FROM hsmith.recipient WHERE key BETWEEN $1 AND $2 "
     "ORDER BY key, agent LIMIT $3"},
    {"terms",
     "SELECT key, left(kind, 17), left(value, 4097) FROM hsmith.term WHERE key BETWEEN $1 AND $2 "
     "ORDER BY key LIMIT $3"},
    {"find",
     "SELECT DISTINCT key FROM hsmith.term WHERE left(value, 200) COLLATE \"C\" = left($1, 200) "
     "AND value = $1 ORDER BY key LIMIT $2"},
    {"find_kind",
     "SELECT DISTINCT key FROM hsmith.term WHERE left(value, 200) COLLATE \"C\" = left($1, 200) "
     "AND value = $1 AND kind = $3 ORDER BY key LIMIT $2"},
    {"count", "SELECT count(*) FROM hsmith.archived_key"},
    {"orphans",
     "SELECT (SELECT count(*) FROM hsmith.recipient r WHERE NOT EXISTS "
     "(SELECT FROM hsmith.archived_key k WHERE k.id = r.key)) + "
     "(SELECT count(*) FROM hsmith.term t WHERE NOT EXISTS "
     "(SELECT FROM hsmith.archived_key k WHERE k.id = t.key))"},
};

using Snapshot = pqxx::transaction<pqxx::repeatable_read, pqxx::read_only>;

SealRow seal_of(const pqxx::row& row) {
  return {integer(row[0]), blob(row[1], kMostSeal), blob(row[2], 65536)};
}

KeyRow key_of(const pqxx::row& row) {
  return {integer(row[0]),
          integer(row[1]),
          blob(row[2], 32),
          blob(row[3], kMostBlob),
          text(row[4], 16),
          integer(row[5]),
          parted_hashes(blob(row[6], kMostChain)),
          {}};
}

class PostgresqlStore : public Store {
  template <typename Work>
  auto reading(Work work) {
    return guarded(url_, "read", work);
  }

 public:
  PostgresqlStore(const std::string& url, StoreMode mode)
      : url_(url), mode_(mode), connection_(connect(url)) {
    guarded(url_, "open", [&] {
      for (const auto& [name, sql] : kStatements) connection_->prepare(name, sql);
      Change::prepare(*connection_);
      if (mode == StoreMode::change) refuse_forgetful_server();
    });
  }

  std::string name() const override { return url_; }

  std::optional<SealRow> seal(std::int64_t number) override {
    return reading([&]() -> std::optional<SealRow> {
      const auto rows = now().exec_prepared("seal", number);
      if (rows.empty()) return std::nullopt;
      return seal_of(rows[0]);
    });
  }
  std::optional<SealRow> last_seal() override {
    return reading([&]() -> std::optional<SealRow> {
      const auto rows = now().exec_prepared("last_seal");
      if (rows.empty()) return std::nullopt;
      return seal_of(rows[0]);
    });
  }
  std::int64_t cursor() override {
    return reading([&] {
      const auto rows = now().exec_prepared("cursor");
      if (rows.empty()) throw Error(Kind::malformed, "the archive has no cursor");
      return integer(rows[0][0]);
    });
  }
  std::optional<Bytes> object(ByteView sha256) override {
    return reading([&]() -> std::optional<Bytes> {
      const auto rows = now().exec_prepared("object", binary(sha256));
      if (rows.empty()) return std::nullopt;
      return blob(rows[0][0], kMostSeal);
    });
  }
  std::optional<KeyRow> key(std::int64_t id) override {
    return reading([&]() -> std::optional<KeyRow> {
      const auto rows = now().exec_prepared("key", id);
      if (rows.empty()) return std::nullopt;
      KeyRow key = key_of(rows[0]);
      key.agents = agents_of(id, id)[id];
      return key;
    });
  }
  std::vector<std::int64_t> find(std::string_view kind, std::string_view value,
                                 std::size_t limit) override {
    if (value.find('\0') != std::string_view::npos) return {};
    return reading([&] {
      const std::string wanted(value);
      const auto rows = kind.empty()
                            ? now().exec_prepared("find", wanted, limit)
                            : now().exec_prepared("find_kind", wanted, limit, std::string(kind));
      std::vector<std::int64_t> found;
      for (const auto& row : rows) found.push_back(integer(row[0]));
      return found;
    });
  }
  std::vector<Term> terms(std::int64_t id) override {
    return reading([&] { return terms_of(id, id)[id]; });
  }
  std::int64_t count_keys() override {
    return reading([&] { return integer(now().exec_prepared1("count")[0]); });
  }
  void each_seal(const std::function<void(const SealRow&)>& take) override {
    each_page("seals", INT64_MIN, [&](const pqxx::result& rows) {
      for (const auto& row : rows) take(seal_of(row));
      return integer(rows.back()[0]);
    });
  }
  void each_key(const std::function<void(const KeyRow&)>& take) override {
    each_page("keys", INT64_MIN, [&](const pqxx::result& rows) {
      const std::int64_t last = integer(rows.back()[0]);
      auto agents = agents_of(integer(rows.front()[0]), last);
      for (const auto& row : rows) take(with_agents(key_of(row), agents));
      return last;
    });
  }
  void each_key_with_terms(const TakeKey& take) override {
    each_page("keys", INT64_MIN, [&](const pqxx::result& rows) {
      const std::int64_t last = integer(rows.back()[0]);
      auto agents = agents_of(integer(rows.front()[0]), last);
      auto terms = terms_of(integer(rows.front()[0]), last);
      for (const auto& row : rows) {
        const KeyRow key = with_agents(key_of(row), agents);
        take(key, terms[key.id]);
      }
      return last;
    });
  }
  void each_object(const std::function<void(ByteView, ByteView)>& take) override {
    each_page("objects", binary({}), [&](const pqxx::result& rows) {
      for (const auto& row : rows) take(blob(row[0], 32), blob(row[1], kMostSeal));
      return binary(blob(rows.back()[0], 32));
    });
  }
  std::string integrity_problem() override {
    return reading([&] {
      now().exec("SET LOCAL statement_timeout = '1h'");
      const std::int64_t orphans = integer(now().exec_prepared1("orphans")[0]);
      return orphans == 0 ? "" : "a row refers to one that is not there";
    });
  }
  std::unique_ptr<StoreChange> change() override;

 private:
  class OpenChange;

  // With fsync off an acknowledged key could be lost with the server's power.
  void refuse_forgetful_server() {
    pqxx::nontransaction query(*connection_);
    if (query.exec1("SHOW fsync")[0].as<std::string>() != "off") return;
    throw Error(Kind::refused, fmt::format("open the archive {}: its server runs with fsync off, "
                                           "and would forget what it acknowledged",
                                           quoted(url_)))
        .hint("set fsync = on in postgresql.conf");
  }

  // The transaction in which statements run: the change that is open, else for readers one snapshot
  // of all.
  pqxx::transaction_base& now() {
    if (transaction_) return *transaction_;
    if (mode_ == StoreMode::read) {
      transaction_ = std::make_unique<Snapshot>(*connection_);
    } else {
      transaction_ = std::make_unique<pqxx::nontransaction>(*connection_);
    }
    return *transaction_;
  }

  template <typename Last, typename Take>
  void each_page(const char* statement, Last last, Take take) {
    for (;;) {
      const auto rows = reading([&] { return now().exec_prepared(statement, last, kPage); });
      if (rows.empty()) return;
      last = take(rows);
      if (rows.size() < kPage) return;
    }
  }

  std::map<std::int64_t, std::vector<Bytes>> agents_of(std::int64_t first, std::int64_t last) {
    const auto rows =
        reading([&] { return now().exec_prepared("agents", first, last, kMostRows); });
    std::map<std::int64_t, std::vector<Bytes>> agents;
    for (const auto& row : rows) {
      auto& of_key = agents[integer(row[0])];
      refuse_too_many(of_key.size(), kMostAgents, "agents");
      of_key.push_back(blob(row[1], 32));
    }
    return agents;
  }

  std::map<std::int64_t, std::vector<Term>> terms_of(std::int64_t first, std::int64_t last) {
    const auto rows = reading([&] { return now().exec_prepared("terms", first, last, kMostRows); });
    std::map<std::int64_t, std::vector<Term>> terms;
    for (const auto& row : rows) {
      auto& of_key = terms[integer(row[0])];
      refuse_too_many(of_key.size(), kMostTerms, "search terms");
      of_key.push_back({text(row[1], 16), text(row[2], kMostTerm)});
    }
    return terms;
  }

  static KeyRow with_agents(KeyRow key, std::map<std::int64_t, std::vector<Bytes>>& agents) {
    key.agents = std::move(agents[key.id]);
    return key;
  }

  std::string url_;
  StoreMode mode_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<pqxx::transaction_base> transaction_;
};

// The store's statements run inside of the change until it ends.
class PostgresqlStore::OpenChange : public Change {
 public:
  explicit OpenChange(PostgresqlStore& store)
      : Change(*store.transaction_, store.url_), store_(store) {}
  ~OpenChange() override { store_.transaction_.reset(); }
  // What is read afterwards is what everybody sees.
  void commit() override {
    Change::commit();
    store_.transaction_.reset();
  }

 private:
  PostgresqlStore& store_;
};

std::unique_ptr<StoreChange> PostgresqlStore::change() {
  return guarded(url_, "change", [&] {
    transaction_.reset();
    transaction_ = std::make_unique<pqxx::work>(*connection_);
    try {
      return std::make_unique<OpenChange>(*this);
    } catch (...) {
      transaction_.reset();
      throw;
    }
  });
}

bool exists(const std::string& url) { return has_archive(*connect(url), url); }

void create(const std::string& url) { make_archive(*connect(url), url); }

std::unique_ptr<Store> open(const std::string& url, StoreMode mode) {
  return std::make_unique<PostgresqlStore>(url, mode);
}

}  // namespace
}  // namespace hsmith::recovery::postgresql

extern "C" {
[[gnu::visibility("default")]] extern const char hsmith_store_stamp[];
const char hsmith_store_stamp[] = HSMITH_STORE_STAMP;
[[gnu::visibility("default")]] extern const hsmith::recovery::StorePlugin hsmith_store_plugin;
const hsmith::recovery::StorePlugin hsmith_store_plugin{&hsmith::recovery::postgresql::exists,
                                                        &hsmith::recovery::postgresql::create,
                                                        &hsmith::recovery::postgresql::open};
}
