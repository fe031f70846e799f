#include "src/recovery/postgresql/schema.h"

#include <fmt/format.h>
#include <pqxx/nontransaction>
#include <pqxx/transaction>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/postgresql/connection.h"
#include "src/recovery/postgresql/rows.h"

namespace hsmith::recovery::postgresql {
namespace {

constexpr std::string_view kVersion = "hsmith key archive 1";

// A term may be longer than an index takes, so its start is indexed.
constexpr const char* kTables = R"sql(
CREATE SCHEMA hsmith;
CREATE TABLE hsmith.cursor (
  one integer PRIMARY KEY CHECK (one = 1),
  value bigint NOT NULL);
INSERT INTO hsmith.cursor VALUES (1, 0);
CREATE TABLE hsmith.object (
  sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
  der bytea NOT NULL);
CREATE TABLE hsmith.seal (
  number bigint PRIMARY KEY,
  content bytea NOT NULL,
  signature bytea NOT NULL);
CREATE TABLE hsmith.archived_key (
  id bigint PRIMARY KEY,
  seal bigint NOT NULL REFERENCES hsmith.seal,
  certificate bytea NOT NULL REFERENCES hsmith.object,
  blob bytea NOT NULL CHECK (octet_length(blob) <= 65536),
  origin text NOT NULL,
  "time" bigint NOT NULL,
  chain bytea NOT NULL);
ALTER TABLE hsmith.archived_key ALTER COLUMN blob SET STORAGE EXTERNAL;
CREATE TABLE hsmith.recipient (
  key bigint NOT NULL REFERENCES hsmith.archived_key,
  agent bytea NOT NULL REFERENCES hsmith.object,
  PRIMARY KEY (key, agent));
CREATE TABLE hsmith.term (
  value text NOT NULL,
  kind text NOT NULL,
  key bigint NOT NULL REFERENCES hsmith.archived_key);
CREATE INDEX term_value ON hsmith.term (left(value, 200) COLLATE "C", kind, key);
CREATE INDEX term_key ON hsmith.term (key);
)sql";

}  // namespace

bool has_archive(pqxx::connection& connection, const std::string& url) {
  return guarded(url, "open", [&] {
    pqxx::nontransaction query(connection);
    const auto rows = query.exec(
        "SELECT left(obj_description(oid, 'pg_namespace'), 100) FROM pg_namespace "
        "WHERE nspname = 'hsmith'");
    if (rows.empty()) return false;
    const std::string version = rows[0][0].is_null() ? "" : text(rows[0][0], 400);
    if (version == kVersion) return true;
    throw Error(Kind::malformed, fmt::format("open the archive {}: its schema hsmith is {}, not {}",
                                             quoted(url), quoted(version), quoted(kVersion)));
  });
}

void make_archive(pqxx::connection& connection, const std::string& url) {
  guarded(url, "make", [&] {
    pqxx::work work(connection);
    if (work.exec1("SHOW server_encoding")[0].as<std::string>() != "UTF8") {
      throw Error(Kind::unsupported,
                  fmt::format("make the archive {}: the database is not in UTF-8", quoted(url)))
          .hint("make it with: createdb --encoding UTF8 --template template0 NAME");
    }
    work.exec(kTables);
    work.exec(fmt::format("COMMENT ON SCHEMA hsmith IS '{}'", kVersion));
    work.commit();
  });
}

}  // namespace hsmith::recovery::postgresql
