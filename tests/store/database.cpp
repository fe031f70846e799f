#include "tests/store/database.h"

#include <atomic>
#include <pqxx/pqxx>
#include <sqlite3.h>
#include <stdexcept>

namespace hsmith::tests {
namespace {

const char* const kTables[] = {"cursor", "object", "seal", "archived_key", "recipient", "term"};

class SqliteDatabase : public Database {
 public:
  explicit SqliteDatabase(const std::string& file) : golden_(file + ".golden") {
    if (sqlite3_open(file.c_str(), &database_) != SQLITE_OK) throw std::runtime_error(file);
    execute(
        "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA ignore_check_constraints = "
        "ON");
  }
  ~SqliteDatabase() override { sqlite3_close(database_); }

  void execute(const std::string& sql) override {
    char* problem = nullptr;
    if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, &problem) == SQLITE_OK) return;
    throw std::runtime_error(sql + ": " + problem);
  }
  std::string ask(const std::string& sql) override {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
      throw std::runtime_error(sql + ": " + sqlite3_errmsg(database_));
    const bool is_blob = sqlite3_column_type(statement, 0) == SQLITE_BLOB;
    const auto* value = static_cast<const unsigned char*>(sqlite3_column_blob(statement, 0));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, 0));
    const std::string answer =
        is_blob ? hex({value, size})
                : std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, 0)));
    sqlite3_finalize(statement);
    return answer;
  }
  std::string literal(const Bytes& bytes) const override { return "x'" + hex(bytes) + "'"; }
  void keep() override {
    execute("ATTACH '" + golden_ + "' AS golden");
    for (const std::string table : kTables)
      execute("CREATE TABLE golden." + table + " AS SELECT * FROM main." + table);
  }
  void bring_back(const std::string& table) override {
    execute("BEGIN; DELETE FROM main." + table + "; INSERT INTO main." + table +
            " SELECT * FROM golden." + table + "; COMMIT");
  }

 private:
  std::string golden_;
  sqlite3* database_ = nullptr;
};

class PostgresqlDatabase : public Database {
 public:
  explicit PostgresqlDatabase(const std::string& url) : connection_(url) {
    execute(
        "SET search_path = hsmith; SET session_replication_role = replica; "
        "SET synchronous_commit = off; SET client_min_messages = error");
  }

  void execute(const std::string& sql) override { pqxx::nontransaction(connection_).exec(sql); }
  std::string ask(const std::string& sql) override {
    const auto answer = pqxx::nontransaction(connection_).exec1(sql)[0].as<std::string>();
    return answer.starts_with("\\x") ? answer.substr(2) : answer;
  }
  std::string literal(const Bytes& bytes) const override {
    return "'\\x" + hex(bytes) + "'::bytea";
  }
  void keep() override {
    execute("CREATE SCHEMA golden");
    for (const std::string table : kTables)
      execute("CREATE TABLE golden." + table + " AS TABLE hsmith." + table);
  }
  void bring_back(const std::string& table) override {
    execute("BEGIN; DELETE FROM hsmith." + table + "; INSERT INTO hsmith." + table +
            " SELECT * FROM golden." + table + "; COMMIT");
  }

 private:
  pqxx::connection connection_;
};

std::string new_database() {
  static std::atomic<int> count = 0;
  const char* server = std::getenv("HSMITH_TEST_POSTGRESQL");
  if (server == nullptr) throw std::runtime_error("run it by tests/support/with_postgresql");
  const std::string name = "t" + std::to_string(getpid()) + "_" + std::to_string(++count);
  pqxx::connection connection(std::string(server) + "postgres");
  pqxx::nontransaction(connection).exec("CREATE DATABASE " + name + " TEMPLATE template0");
  return server + name;
}

}  // namespace

Place::Place(const std::string& store) {
  if (store == "sqlite") {
    place_.file = folder_ / "archive.db";
  } else {
    place_.url = new_database();
  }
}

std::unique_ptr<Database> Place::database() const {
  if (place_.file.empty()) return std::make_unique<PostgresqlDatabase>(place_.url);
  return std::make_unique<SqliteDatabase>(place_.file.string());
}

std::vector<std::string> Place::stores() { return {"sqlite", "postgresql"}; }

}  // namespace hsmith::tests
