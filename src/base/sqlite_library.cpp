#include "src/base/sqlite_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/sqlite.h"

namespace hsmith {
namespace {

void* open_library() { return dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL); }

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr)
    throw Error(Kind::unsupported, fmt::format("load SQLite: it has no function {}", name));
}

SqliteLibrary load() {
  void* library = open_library();
  if (library == nullptr) {
    throw Error(Kind::unsupported, fmt::format("load SQLite: {}", dlerror()))
        .hint("install the package libsqlite3-0");
  }
  SqliteLibrary l{};
  find(library, "sqlite3_libversion", l.libversion);
  find(library, "sqlite3_open_v2", l.open_v2);
  find(library, "sqlite3_close", l.close);
  find(library, "sqlite3_exec", l.exec);
  find(library, "sqlite3_errmsg", l.errmsg);
  find(library, "sqlite3_errstr", l.errstr);
  find(library, "sqlite3_extended_errcode", l.extended_errcode);
  find(library, "sqlite3_system_errno", l.system_errno);
  find(library, "sqlite3_busy_timeout", l.busy_timeout);
  find(library, "sqlite3_db_config", l.db_config);
  find(library, "sqlite3_limit", l.limit);
  find(library, "sqlite3_changes64", l.changes64);
  find(library, "sqlite3_prepare_v2", l.prepare_v2);
  find(library, "sqlite3_finalize", l.finalize);
  find(library, "sqlite3_step", l.step);
  find(library, "sqlite3_reset", l.reset);
  find(library, "sqlite3_bind_int64", l.bind_int64);
  find(library, "sqlite3_bind_text64", l.bind_text64);
  find(library, "sqlite3_bind_blob64", l.bind_blob64);
  find(library, "sqlite3_bind_zeroblob", l.bind_zeroblob);
  find(library, "sqlite3_bind_null", l.bind_null);
  find(library, "sqlite3_column_type", l.column_type);
  find(library, "sqlite3_column_int64", l.column_int64);
  find(library, "sqlite3_column_text", l.column_text);
  find(library, "sqlite3_column_blob", l.column_blob);
  find(library, "sqlite3_column_bytes", l.column_bytes);
  return l;
}

}  // namespace

const SqliteLibrary& sqlite() {
  static const SqliteLibrary library = load();
  return library;
}

std::optional<std::string> sqlite_version() {
  void* library = open_library();
  if (library == nullptr) return std::nullopt;
  return sqlite().libversion();
}

}  // namespace hsmith
