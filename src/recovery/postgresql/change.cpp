#include "src/recovery/postgresql/change.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/recovery/postgresql/connection.h"
#include "src/recovery/store_rows.h"

namespace hsmith::recovery::postgresql {
namespace {

constexpr std::size_t kBatch = 200;            // rows of keys that are collected
constexpr std::size_t kBatchBytes = 4u << 20;  // ... of others

constexpr std::pair<const char*, const char*> kStatements[] = {
    {"lock_cursor", "SELECT value FROM hsmith.cursor WHERE one = 1 FOR UPDATE"},
    {"set_cursor", "UPDATE hsmith.cursor SET value = $1 WHERE one = 1"},
    {"next_key", "SELECT coalesce(max(id), 0) + 1 FROM hsmith.archived_key"},
    {"add_objects",
     "INSERT INTO hsmith.object SELECT * FROM unnest($1::bytea[], $2::bytea[]) "
     "ON CONFLICT DO NOTHING"},
    {"add_seals",
     "INSERT INTO hsmith.seal SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])"},
    {"add_keys",
     "INSERT INTO hsmith.archived_key SELECT * FROM unnest($1::bigint[], $2::bigint[], "
     "$3::bytea[], $4::bytea[], $5::text[], $6::bigint[], $7::bytea[])"},
    {"add_recipients",
     "INSERT INTO hsmith.recipient SELECT * FROM unnest($1::bigint[], $2::bytea[])"},
    {"add_terms",
     "INSERT INTO hsmith.term SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])"},
    {"replace_key", "UPDATE hsmith.archived_key SET seal = $1, blob = $2 WHERE id = $3"},
    {"remove_recipients", "DELETE FROM hsmith.recipient WHERE key = $1"},
    {"remove_terms", "DELETE FROM hsmith.term WHERE key = $1"},
    {"remove_key", "DELETE FROM hsmith.archived_key WHERE id = $1"},
    // Apart, since officers may look and only the tables' owner may mend.
    {"damaged_objects",
     "SELECT count(*) FROM hsmith.object o JOIN unnest($1::bytea[], $2::bytea[]) AS given (sha256, "
     "der) ON o.sha256 = given.sha256 WHERE o.der <> given.der"},
    {"mend_objects",
     "UPDATE hsmith.object o SET der = given.der FROM unnest($1::bytea[], $2::bytea[]) AS given "
     "(sha256, der) WHERE o.sha256 = given.sha256 AND o.der <> given.der"},
};

// A trigger or a rule that somebody put into the database may swallow rows.
void expect_rows(const pqxx::result& result, std::size_t wanted) {
  if (result.affected_rows() == wanted) return;
  throw Error(Kind::malformed, fmt::format("change the archive: of {} rows the server took {}",
                                           wanted, result.affected_rows()));
}

}  // namespace

void Change::prepare(pqxx::connection_base& connection) {
  for (const auto& [name, sql] : kStatements) connection.prepare(name, sql);
}

Change::Change(pqxx::transaction_base& transaction, const std::string& url)
    : transaction_(transaction), url_(url) {
  guarded(url_, "change", [&] {
    const auto rows = transaction_.exec_prepared("lock_cursor");
    if (rows.empty()) throw Error(Kind::malformed, "the archive has no cursor");
    cursor_there_ = integer(rows[0][0]);
    cursor_ = usable_cursor(cursor_there_);
  });
}

std::int64_t Change::next_key() {
  return guarded(url_, "change",
                 [&] { return integer(transaction_.exec_prepared1("next_key")[0]); });
}

std::int64_t Change::take_cursor(std::int64_t step) {
  const std::int64_t value = cursor_;
  cursor_ += step;
  return value;
}

void Change::add_object(ByteView sha256, ByteView der) {
  if (!objects_.names.insert(to_bytes(sha256)).second) return;
  objects_.sha256.add(sha256);
  objects_.der.add(der);
  objects_.bytes += der.size();
  if (objects_.bytes > kBatchBytes) send_objects();
}

void Change::add_seal(const SealRow& seal) {
  seals_.number.add(seal.number);
  seals_.content.add(seal.content);
  seals_.signature.add(seal.signature);
  seals_.bytes += seal.content.size();
  if (seals_.bytes > kBatchBytes) send_seals();
}

void Change::add_key(const KeyRow& key, const std::vector<Term>& terms) {
  keys_.id.add(key.id);
  keys_.seal.add(key.seal);
  keys_.certificate.add(key.certificate);
  keys_.blob.add(key.blob);
  keys_.origin.add(std::string_view(key.origin));
  keys_.time.add(static_cast<std::int64_t>(key.time));
  keys_.chain.add(joined_hashes(key.chain));
  add_agents(key);
  for (const Term& term : terms) {
    terms_.value.add(std::string_view(term.value));
    terms_.kind.add(std::string_view(term.kind));
    terms_.key.add(key.id);
  }
  if (keys_.id.size() >= kBatch) send();
}

void Change::add_agents(const KeyRow& key) {
  for (const Bytes& agent : key.agents) {
    agents_.key.add(key.id);
    agents_.agent.add(agent);
  }
}

void Change::replace_key(const KeyRow& key) {
  guarded(url_, "change", [&] {
    send();
    expect_rows(transaction_.exec_prepared("replace_key", key.seal, binary(key.blob), key.id), 1);
    transaction_.exec_prepared("remove_recipients", key.id);
  });
  add_agents(key);
}

void Change::remove_key(std::int64_t id) {
  guarded(url_, "change", [&] {
    send();
    for (const char* statement : {"remove_recipients", "remove_terms", "remove_key"})
      transaction_.exec_prepared(statement, id);
  });
}

void Change::send_objects() {
  if (objects_.sha256.size() == 0) return;
  guarded(url_, "change", [&] {
    const std::string names = objects_.sha256.text();
    const std::string contents = objects_.der.text();
    const auto added = transaction_.exec_prepared("add_objects", names, contents).affected_rows();
    if (added < objects_.sha256.size() &&
        integer(transaction_.exec_prepared1("damaged_objects", names, contents)[0]) > 0)
      transaction_.exec_prepared("mend_objects", names, contents);
  });
  objects_ = {};
}

void Change::send_seals() {
  if (seals_.number.size() == 0) return;
  guarded(url_, "change", [&] {
    expect_rows(transaction_.exec_prepared("add_seals", seals_.number.text(), seals_.content.text(),
                                           seals_.signature.text()),
                seals_.number.size());
  });
  seals_ = {};
}

// In the order in which rows refer to others.
void Change::send() {
  send_objects();
  send_seals();
  guarded(url_, "change", [&] {
    if (keys_.id.size() > 0) {
      expect_rows(
          transaction_.exec_prepared("add_keys", keys_.id.text(), keys_.seal.text(),
                                     keys_.certificate.text(), keys_.blob.text(),
                                     keys_.origin.text(), keys_.time.text(), keys_.chain.text()),
          keys_.id.size());
    }
    if (agents_.key.size() > 0) {
      expect_rows(
          transaction_.exec_prepared("add_recipients", agents_.key.text(), agents_.agent.text()),
          agents_.key.size());
    }
    if (terms_.key.size() > 0) {
      expect_rows(transaction_.exec_prepared("add_terms", terms_.value.text(), terms_.kind.text(),
                                             terms_.key.text()),
                  terms_.key.size());
    }
  });
  keys_ = {};
  agents_ = {};
  terms_ = {};
}

void Change::commit() {
  send();
  guarded(url_, "change", [&] {
    if (cursor_ != cursor_there_) expect_rows(transaction_.exec_prepared("set_cursor", cursor_), 1);
    transaction_.commit();
  });
}

}  // namespace hsmith::recovery::postgresql
