// A change of an archive in PostgreSQL.
#pragma once

#include <pqxx/transaction_base>
#include <set>
#include <string>

#include "src/recovery/postgresql/rows.h"
#include "src/recovery/store.h"

namespace hsmith::recovery::postgresql {

// Collects rows and sends them by the hundred, a statement a table: a server may be far away.
class Change : public StoreChange {
 public:
  // Locks the cursor's row, which every change needs first: changes follow one another, so none can
  // conflict with another one. Throws busy when that takes too long.
  Change(pqxx::transaction_base& transaction, const std::string& url);

  std::int64_t next_key() override;
  std::int64_t take_cursor(std::int64_t step) override;
  void set_cursor(std::int64_t value) override { cursor_ = value; }
  void add_object(ByteView sha256, ByteView der) override;
  void add_seal(const SealRow& seal) override;
  void add_key(const KeyRow& key, const std::vector<Term>& terms) override;
  void replace_key(const KeyRow& key) override;
  void remove_key(std::int64_t id) override;
  void commit() override;

  // The statements, to be prepared once for a connection.
  static void prepare(pqxx::connection_base& connection);

 private:
  void send_objects();
  void send_seals();
  void send();
  void add_agents(const KeyRow& key);

  pqxx::transaction_base& transaction_;
  const std::string& url_;
  std::int64_t cursor_ = 0;
  std::int64_t cursor_there_ = 0;

  struct {
    Array sha256, der;
    std::set<Bytes> names;
    std::size_t bytes = 0;
  } objects_;
  struct {
    Array number, content, signature;
    std::size_t bytes = 0;
  } seals_;
  struct {
    Array id, seal, certificate, blob, origin, time, chain;
  } keys_;
  struct {
    Array key, agent;
  } agents_;
  struct {
    Array value, kind, key;
  } terms_;
};

}  // namespace hsmith::recovery::postgresql
