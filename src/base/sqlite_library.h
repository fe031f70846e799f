// SQLite's library, loaded when it is first needed: most commands do without it.
#pragma once

#include <sqlite3.h>

namespace hsmith {

// The functions of the library that are used here.
struct SqliteLibrary {
  decltype(&sqlite3_libversion) libversion;
  decltype(&sqlite3_open_v2) open_v2;
  decltype(&sqlite3_close) close;
  decltype(&sqlite3_exec) exec;
  decltype(&sqlite3_errmsg) errmsg;
  decltype(&sqlite3_errstr) errstr;
  decltype(&sqlite3_extended_errcode) extended_errcode;
  decltype(&sqlite3_system_errno) system_errno;
  decltype(&sqlite3_busy_timeout) busy_timeout;
  decltype(&sqlite3_db_config) db_config;
  decltype(&sqlite3_limit) limit;
  decltype(&sqlite3_changes64) changes64;
  decltype(&sqlite3_prepare_v2) prepare_v2;
  decltype(&sqlite3_finalize) finalize;
  decltype(&sqlite3_step) step;
  decltype(&sqlite3_reset) reset;
  decltype(&sqlite3_bind_int64) bind_int64;
  decltype(&sqlite3_bind_text64) bind_text64;
  decltype(&sqlite3_bind_blob64) bind_blob64;
  decltype(&sqlite3_bind_zeroblob) bind_zeroblob;
  decltype(&sqlite3_bind_null) bind_null;
  decltype(&sqlite3_column_type) column_type;
  decltype(&sqlite3_column_int64) column_int64;
  decltype(&sqlite3_column_text) column_text;
  decltype(&sqlite3_column_blob) column_blob;
  decltype(&sqlite3_column_bytes) column_bytes;
};

// Throws unsupported where it is not installed.
const SqliteLibrary& sqlite();

}  // namespace hsmith
