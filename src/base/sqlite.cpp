#include "src/base/sqlite.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "src/base/error.h"
#include "src/base/files.h"
#include "src/base/sqlite_library.h"
#include "src/base/text.h"

namespace hsmith {
namespace {

namespace fs = std::filesystem;

constexpr int kBusyMilliseconds = 5000;
// No value of ours comes near; a row that claims more is not read into memory.
constexpr int kLongestValue = 64 << 20;

// The last failure of a database as an Error. A full or failing disk has a reason of its own.
[[noreturn]] void fail(sqlite3* database, const std::string& path, std::string_view doing) {
  const int code = sqlite().extended_errcode(database);
  const std::string what = fmt::format("{} the database {}", doing, quoted(path));
  if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED) {
    throw Error(Kind::busy, fmt::format("{}: another process is writing to it", what))
        .hint("wait until it has finished, then try again");
  }
  if ((code & 0xff) == SQLITE_NOTADB)
    throw Error(Kind::malformed, fmt::format("{}: it is no database of SQLite", what));
  if (code == SQLITE_TOOBIG) {
    throw Error(Kind::malformed,
                fmt::format("{}: a row has a value longer than {} bytes", what, kLongestValue));
  }
  // SQLite takes a full disk for no error of the system.
  const int system = code == SQLITE_FULL ? ENOSPC : sqlite().system_errno(database);
  const bool of_the_disk =
      (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN || code == SQLITE_FULL;
  std::string cause = printable(sqlite().errmsg(database));
  if (of_the_disk && system != 0) cause += fmt::format(" ({})", std::strerror(system));
  throw Error(Kind::io, fmt::format("{}: {}", what, cause));
}

Error other_kind(const std::string& path, const Schema& schema, std::string_view cause) {
  return Error(Kind::malformed,
               fmt::format("open the {} {}: {}", schema.what, quoted(path), cause));
}

[[noreturn]] void fail_file(std::string_view doing, const fs::path& path) {
  const Kind kind = errno == EEXIST ? Kind::exists : Kind::io;
  throw Error(kind, fmt::format("{} {}: {}", doing, quoted(path.string()), std::strerror(errno)));
}

constexpr const char* kBeside[] = {"-journal", "-wal", "-shm"};

// Fills a file under a name of its own, and gives it its name when it is whole and on the disk: a
// link never replaces. SQLite would give a new file the umask's permissions.
template <typename Fill>
void make_whole(const fs::path& file, std::string_view doing, Fill fill) {
  if (const auto other = left_over_beside(file)) {
    throw Error(
        Kind::exists,
        fmt::format("{} {}: {} is there, of another database of this name, and would change "
                    "the new one",
                    doing, quoted(file.string()), quoted(other->string())))
        .hint("move it away first");
  }
  const fs::path unfinished = replacement_of(file);
  unlink(unfinished.c_str());
  for (const char* end : kBeside) unlink((unfinished.string() + end).c_str());
  const Descriptor made(open(unfinished.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (made.get() < 0) fail_file(doing, file);
  try {
    fill(unfinished.string());
    if (fsync(made.get()) != 0 || link(unfinished.c_str(), file.c_str()) != 0)
      fail_file(doing, file);
    sync_folder(file.parent_path().empty() ? "." : file.parent_path());
  } catch (...) {
    unlink(unfinished.c_str());
    throw;
  }
  unlink(unfinished.c_str());
}

void check_file(const std::string& path, const Schema& schema) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    const Kind kind = errno == ENOENT ? Kind::not_found : Kind::io;
    throw Error(kind,
                fmt::format("open the {} {}: {}", schema.what, quoted(path), std::strerror(errno)));
  }
  if (!S_ISREG(status.st_mode)) throw other_kind(path, schema, "it is not a regular file");
  refuse_writable_by_others(path, fmt::format("the {}", schema.what));
}

sqlite3* open_file(const std::string& path, int flags) {
  sqlite3* database = nullptr;
  if (sqlite().open_v2(path.c_str(), &database, flags | SQLITE_OPEN_NOMUTEX, nullptr) == SQLITE_OK)
    return database;
  try {
    if (database == nullptr) throw Error(Kind::io, "open a database: no memory");
    fail(database, path, "open");
  } catch (...) {
    sqlite().close(database);
    throw;
  }
}

using Connection = std::unique_ptr<sqlite3, int (*)(sqlite3*)>;

// All that a database's schema says, to compare two of them.
std::string schema_text(Statement statement) {
  std::string text;
  while (statement.step()) {
    text += statement.is_null(0) ? "-" : statement.text(0);
    text += ";\n";
    if (text.size() > (1u << 20)) break;
  }
  return text;
}
constexpr const char* kSchemaQuery = "SELECT sql FROM sqlite_schema ORDER BY type, name";

// Of a value that is as it should be; asked for once, since each question costs as much as a copy.
std::optional<std::size_t> size_of(sqlite3_stmt* statement, int column, int type,
                                   std::size_t limit) {
  if (sqlite().column_type(statement, column) != type) return std::nullopt;
  const int size = sqlite().column_bytes(statement, column);
  if (size < 0 || static_cast<std::size_t>(size) > limit) return std::nullopt;
  return static_cast<std::size_t>(size);
}

}  // namespace

Statement::Statement(sqlite3* database, std::string path, std::string_view sql)
    : database_(database), path_(std::move(path)) {
  if (sqlite().prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement_,
                          nullptr) != SQLITE_OK)
    fail(database_, path_, "use");
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      path_(std::move(other.path_)),
      statement_(std::exchange(other.statement_, nullptr)) {}

Statement::~Statement() {
  if (statement_ != nullptr) sqlite().finalize(statement_);
}

Statement& Statement::bind(int parameter, std::int64_t value) {
  if (sqlite().bind_int64(statement_, parameter, value) != SQLITE_OK) fail(database_, path_, "use");
  return *this;
}

Statement& Statement::bind(int parameter, std::string_view text) {
  if (sqlite().bind_text64(statement_, parameter, text.empty() ? "" : text.data(), text.size(),
                           SQLITE_TRANSIENT, SQLITE_UTF8) != SQLITE_OK)
    fail(database_, path_, "use");
  return *this;
}

Statement& Statement::bind(int parameter, ByteView blob) {
  const int bound = blob.empty() ? sqlite().bind_zeroblob(statement_, parameter, 0)
                                 : sqlite().bind_blob64(statement_, parameter, blob.data(),
                                                        blob.size(), SQLITE_TRANSIENT);
  if (bound != SQLITE_OK) fail(database_, path_, "use");
  return *this;
}

Statement& Statement::bind_null(int parameter) {
  if (sqlite().bind_null(statement_, parameter) != SQLITE_OK) fail(database_, path_, "use");
  return *this;
}

bool Statement::step() {
  const int result = sqlite().step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  fail(database_, path_, "use");
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

void Statement::reset() { sqlite().reset(statement_); }

void Statement::wrong(int column, std::string_view cause) {
  throw Error(Kind::malformed, fmt::format("read the database {}: a row's value {} is {}",
                                           quoted(path_), column + 1, cause));
}

void Statement::expect(int column, int type, std::size_t limit, const char* type_name) {
  if (sqlite().column_type(statement_, column) != type)
    wrong(column, fmt::format("not {}", type_name));
  if (type == SQLITE_INTEGER) return;
  const int size = sqlite().column_bytes(statement_, column);
  if (size < 0 || static_cast<std::size_t>(size) > limit)
    wrong(column, fmt::format("longer than {} bytes", limit));
}

bool Statement::is_null(int column) {
  return sqlite().column_type(statement_, column) == SQLITE_NULL;
}

std::int64_t Statement::integer(int column) {
  expect(column, SQLITE_INTEGER, 0, "a number");
  return sqlite().column_int64(statement_, column);
}

std::string Statement::text(int column, std::size_t limit) {
  const auto size = size_of(statement_, column, SQLITE_TEXT, limit);
  if (!size) expect(column, SQLITE_TEXT, limit, "text");  // throws, and says why
  const unsigned char* content = sqlite().column_text(statement_, column);
  if (content == nullptr || !size) fail(database_, path_, "use");
  std::string text(reinterpret_cast<const char*>(content), *size);
  if (!is_utf8(text)) wrong(column, "not UTF-8");
  return text;
}

Bytes Statement::blob(int column, std::size_t limit) {
  const auto size = size_of(statement_, column, SQLITE_BLOB, limit);
  if (!size) expect(column, SQLITE_BLOB, limit, "a blob");  // throws, and says why
  const auto* content = static_cast<const unsigned char*>(sqlite().column_blob(statement_, column));
  if (!size || (content == nullptr && *size != 0)) fail(database_, path_, "use");
  return Bytes(content, content + *size);
}

std::optional<fs::path> left_over_beside(const fs::path& file) {
  std::error_code none;
  if (fs::exists(fs::symlink_status(file, none))) return std::nullopt;
  for (const char* end : kBeside) {
    fs::path beside = file.string() + end;
    if (fs::exists(fs::symlink_status(beside, none))) return beside;
  }
  return std::nullopt;
}

Database::Database(const fs::path& file, const Schema& schema, DatabaseMode mode)
    : path_(file.string()) {
  check_file(path_, schema);
  const int flags = mode == DatabaseMode::read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  database_ = open_file(path_, flags);
  try {
    configure(mode);
    check_schema(schema);
  } catch (...) {
    sqlite().close(database_);
    throw;
  }
}

Database::Database(Database&& other) noexcept
    : path_(std::move(other.path_)), database_(std::exchange(other.database_, nullptr)) {}

Database::~Database() {
  if (database_ != nullptr) sqlite().close(database_);
}

void Database::execute(const char* sql) {
  if (sqlite().exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    fail(database_, path_, "use");
}

std::int64_t Database::changed() const { return sqlite().changes64(database_); }

// The file may have been made by somebody else: its schema may run nothing.
void Database::configure(DatabaseMode mode) {
  sqlite().busy_timeout(database_, kBusyMilliseconds);
  sqlite().limit(database_, SQLITE_LIMIT_LENGTH, kLongestValue);
  int unused = 0;
  sqlite().db_config(database_, SQLITE_DBCONFIG_DEFENSIVE, 1, &unused);
  sqlite().db_config(database_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &unused);
  sqlite().db_config(database_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, &unused);
  sqlite().db_config(database_, SQLITE_DBCONFIG_ENABLE_VIEW, 0, &unused);
  execute("PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON");
  if (mode != DatabaseMode::read) execute("PRAGMA journal_mode=WAL");
}

void Database::check_schema(const Schema& schema) {
  const auto number = [this](const char* pragma) {
    Statement statement = prepare(pragma);
    return statement.step() ? statement.integer(0) : 0;
  };
  if (number("PRAGMA application_id") != schema.application_id)
    throw other_kind(path_, schema, "it is another kind of database");
  const std::int64_t version = number("PRAGMA user_version");
  if (version != schema.version) {
    throw other_kind(
        path_, schema,
        fmt::format("it has version {}, this program writes version {}", version, schema.version));
  }
  const Connection reference(open_file(":memory:", SQLITE_OPEN_READWRITE), sqlite().close);
  if (sqlite().exec(reference.get(), schema.sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    fail(reference.get(), ":memory:", "make");
  if (schema_text(prepare(kSchemaQuery)) !=
      schema_text(Statement(reference.get(), ":memory:", kSchemaQuery)))
    throw other_kind(path_, schema, "its tables are not as they were made");
}

std::string Database::integrity_problem() try {
  Statement check = prepare("PRAGMA integrity_check(1)");
  const std::string found = check.step() ? check.text(0) : "no answer";
  if (found != "ok") return found;
  Statement references = prepare("PRAGMA foreign_key_check");
  return references.step() ? "a row refers to one that is not there" : "";
} catch (const Error& error) {
  if (error.kind() != Kind::malformed) throw;
  return error.what();
}

void Database::copy_to(const fs::path& copy) {
  make_whole(copy, fmt::format("copy the database {} to", quoted(path_)),
             [this](const std::string& path) {
               prepare("VACUUM INTO ?").bind(1, std::string_view(path)).run();
             });
}

void create_database(const fs::path& file, const Schema& schema,
                     const std::function<void(Database&)>& fill) {
  make_whole(file, "make the database", [&](const std::string& path) {
    {
      const Connection made(open_file(path, SQLITE_OPEN_READWRITE), sqlite().close);
      const std::string sql = fmt::format(
          "PRAGMA synchronous=FULL; BEGIN; {}; PRAGMA application_id={}; PRAGMA user_version={}; "
          "COMMIT",
          schema.sql, schema.application_id, schema.version);
      if (sqlite().exec(made.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        fail(made.get(), path, "make");
    }
    if (!fill) return;
    Database database(path, schema, DatabaseMode::change);
    Transaction transaction(database);
    fill(database);
    transaction.commit();
    // As one file, which is read where nothing can be written beside it: a backup on another
    // medium.
    database.execute("PRAGMA journal_mode=DELETE");
  });
}

Transaction::Transaction(Database& database) : database_(database) {
  database_.execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.execute("ROLLBACK");
  } catch (const Error&) {  // SQLite has undone it already
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

}  // namespace hsmith
