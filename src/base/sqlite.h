// SQLite: one database file, values bound to statements, transactions that are on the disk when
// they are done. The library is loaded when the first database is opened: no other command pays.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/bytes.h"

struct sqlite3;
struct sqlite3_stmt;

namespace hsmith {

// What a database of hsmith holds. A file with another application id, version or table is refused.
struct Schema {
  const char* what;             // "CA database", for messages
  std::int32_t application_id;  // PRAGMA application_id
  std::int32_t version;         // PRAGMA user_version
  const char* sql;              // the CREATE statements; tables STRICT
};

// One SQL statement with its values, numbered from 1, columns from 0. What it points into must not
// be destroyed before it.
class Statement {
 public:
  Statement(sqlite3* database, std::string path, std::string_view sql);
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  Statement& bind(int parameter, std::int64_t value);
  Statement& bind(int parameter, std::string_view text);
  Statement& bind(int parameter, ByteView blob);
  Statement& bind_null(int parameter);

  // True when there is a row. Throws busy when another process kept its lock, else io.
  bool step();
  // For statements that give no row. The statement can then be bound and run again.
  void run();
  void reset();

  // The row's values. What is of another type, or longer than `limit` bytes, or text that is not
  // UTF-8, throws malformed with the database's path: rows are input.
  bool is_null(int column);
  std::int64_t integer(int column);
  std::string text(int column, std::size_t limit = 65536);
  Bytes blob(int column, std::size_t limit = 1u << 20);

 private:
  [[noreturn]] void wrong(int column, std::string_view cause);
  void expect(int column, int type, std::size_t limit, const char* type_name);

  sqlite3* database_;
  std::string path_;
  sqlite3_stmt* statement_ = nullptr;
};

enum class DatabaseMode { read, change };

// An open database: write-ahead log, synchronous=FULL, foreign keys, no trust in what the file's
// schema says; waits 5 s for another process. Not for several threads.
class Database {
 public:
  // Throws io (with the path), not_found, malformed when the file is another kind of database,
  // unsafe_permissions when others may write to it.
  Database(const std::filesystem::path& file, const Schema& schema, DatabaseMode mode);
  Database(Database&& other) noexcept;
  Database& operator=(Database&&) = delete;
  ~Database();

  const std::string& path() const { return path_; }
  Statement prepare(std::string_view sql) { return Statement(database_, path_, sql); }
  void execute(const char* sql);
  // Rows that the last INSERT, UPDATE or DELETE changed.
  std::int64_t changed() const;

  // Every page and index of the file; an empty text when all is well, else the first problem.
  std::string integrity_problem();
  // A consistent copy as one file, 0600, on the disk whole or not at all. `copy` must not exist.
  void copy_to(const std::filesystem::path& copy);

 private:
  void configure(DatabaseMode mode);
  void check_schema(const Schema& schema);

  std::string path_;
  sqlite3* database_ = nullptr;
};

// A journal of another database that had this name: SQLite would take it for the new one's, and
// ruin that. nullopt when there is none, or `file` is there itself.
std::optional<std::filesystem::path> left_over_beside(const std::filesystem::path& file);

// Makes a database with the rows that `fill` adds, whole or not at all, 0600. Throws exists, for
// what left_over_beside() finds too, io.
void create_database(const std::filesystem::path& file, const Schema& schema,
                     const std::function<void(Database&)>& fill = {});

// A write transaction from here to commit(); undone when it ends without.
class Transaction {
 public:
  // Takes the write lock at once. Throws busy.
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  // On the disk when it returns.
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

// "3.40.1", of the library that would be used; nullopt when there is none.
std::optional<std::string> sqlite_version();

}  // namespace hsmith
