#include "src/recovery/postgresql/rows.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"

namespace hsmith::recovery::postgresql {
namespace {

[[noreturn]] void wrong(const pqxx::field& field, std::string_view cause) {
  throw Error(Kind::malformed, fmt::format("read the archive: a row's value {} is {}",
                                           printable(field.name()), cause));
}

void refuse_null(const pqxx::field& field) {
  if (field.is_null()) wrong(field, "missing");
}

}  // namespace

std::int64_t integer(const pqxx::field& field) {
  refuse_null(field);
  try {
    return field.as<std::int64_t>();
  } catch (const std::exception&) {
    wrong(field, "not a number");
  }
}

Bytes blob(const pqxx::field& field, std::size_t limit) {
  refuse_null(field);
  const pqxx::binarystring bytes(field);
  if (bytes.size() > limit) wrong(field, fmt::format("longer than {} bytes", limit));
  return Bytes(bytes.data(), bytes.data() + bytes.size());
}

std::string text(const pqxx::field& field, std::size_t limit) {
  refuse_null(field);
  if (field.size() > limit) wrong(field, fmt::format("longer than {} bytes", limit));
  std::string value(field.c_str(), field.size());
  if (!is_utf8(value)) wrong(field, "not UTF-8");
  return value;
}

pqxx::binarystring binary(ByteView bytes) {
  return pqxx::binarystring(bytes.empty() ? "" : static_cast<const void*>(bytes.data()),
                            bytes.size());
}

Array& Array::add(std::int64_t value) {
  next();
  text_ += std::to_string(value);
  return *this;
}

Array& Array::add(std::string_view value) {
  next();
  text_ += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') text_ += '\\';
    text_ += c;
  }
  text_ += '"';
  return *this;
}

Array& Array::add(ByteView value) {
  next();
  text_ += "\"\\\\x" + hex(value) + '"';
  return *this;
}

}  // namespace hsmith::recovery::postgresql
