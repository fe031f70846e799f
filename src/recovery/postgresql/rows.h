// Values in PostgreSQL's results, which are input, and in its parameters.
#pragma once

#include <cstdint>
#include <pqxx/binarystring>
#include <pqxx/result>
#include <string>
#include <string_view>

#include "src/base/bytes.h"

namespace hsmith::recovery::postgresql {

// A field of a result. What is NULL, of another type, or longer than `limit` bytes throws
// malformed. A query asks the server for one byte more than the limit, never for all.
std::int64_t integer(const pqxx::field& field);
Bytes blob(const pqxx::field& field, std::size_t limit);
std::string text(const pqxx::field& field, std::size_t limit);

// A bytea parameter.
pqxx::binarystring binary(ByteView bytes);

// A parameter that is an array, written as the text that PostgreSQL reads (8.15.2).
class Array {
 public:
  Array& add(std::int64_t value);
  Array& add(std::string_view value);
  Array& add(ByteView value);
  std::size_t size() const { return size_; }
  std::string text() const { return text_.empty() ? "{}" : text_ + "}"; }

 private:
  void next() { text_ += size_++ == 0 ? '{' : ','; }

  std::string text_;
  std::size_t size_ = 0;
};

}  // namespace hsmith::recovery::postgresql
