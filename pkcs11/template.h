// Attributes: those that hsmith sends, and those that a token answers with.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pkcs11/cryptoki.h"
#include "src/base/bytes.h"

namespace hsmith::pkcs11 {

// An attribute template that owns its values. The CK_ATTRIBUTE array is made only for a call, so a
// Template can be copied and extended freely.
class Template {
 public:
  Template& set(CK_ATTRIBUTE_TYPE type, ByteView value);
  Template& set_text(CK_ATTRIBUTE_TYPE type, std::string_view value);
  Template& set_bool(CK_ATTRIBUTE_TYPE type, bool value);
  Template& set_number(CK_ATTRIBUTE_TYPE type, CK_ULONG value);
  Template& leave_out(CK_ATTRIBUTE_TYPE type);

  // Borrowed view for one Cryptoki call; valid while *this is unchanged.
  std::vector<CK_ATTRIBUTE> view() const;
  // For the trace: names, and the values of flags and classes.
  std::string describe() const;

 private:
  std::vector<std::pair<CK_ATTRIBUTE_TYPE, Bytes>> values_;
};

// What an object answered. An attribute that the token does not give is absent; one of the wrong
// length for its kind counts as absent too.
class Attributes {
 public:
  void put(CK_ATTRIBUTE_TYPE type, Bytes value) { values_[type] = std::move(value); }

  const Bytes* find(CK_ATTRIBUTE_TYPE type) const;
  Bytes bytes(CK_ATTRIBUTE_TYPE type) const;  // empty when absent
  std::string text(CK_ATTRIBUTE_TYPE type) const;
  std::optional<bool> flag(CK_ATTRIBUTE_TYPE type) const;
  std::optional<CK_ULONG> number(CK_ATTRIBUTE_TYPE type) const;

 private:
  std::map<CK_ATTRIBUTE_TYPE, Bytes> values_;
};

}  // namespace hsmith::pkcs11
