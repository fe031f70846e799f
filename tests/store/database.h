// The database below an archive, reached past hsmith: as somebody who may do everything with it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/recovery/store_place.h"
#include "tests/support/temporary_folder.h"

namespace hsmith::tests {

// Foreign keys and triggers are off: rows can be edited and removed as one likes.
class Database {
 public:
  virtual ~Database() = default;
  virtual void execute(const std::string& sql) = 0;
  // The first row's first value, as text; blobs as lower-case hex.
  virtual std::string ask(const std::string& sql) = 0;
  virtual std::string literal(const Bytes& bytes) const = 0;
  // Keeps all rows as they are, and brings back a table's.
  virtual void keep() = 0;
  virtual void bring_back(const std::string& table) = 0;
};

// "sqlite" or "postgresql": a new place for an archive, with nothing in it.
class Place {
 public:
  // `store` "postgresql" needs tests/support/with_postgresql.
  explicit Place(const std::string& store);
  const recovery::StorePlace& place() const { return place_; }
  std::unique_ptr<Database> database() const;

  static std::vector<std::string> stores();

 private:
  TemporaryFolder folder_;
  recovery::StorePlace place_;
};

}  // namespace hsmith::tests
