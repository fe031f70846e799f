#include "pkcs11/template.h"

#include <cstring>
#include <fmt/format.h>

#include "pkcs11/names.h"

namespace hsmith::pkcs11 {

Template& Template::set(CK_ATTRIBUTE_TYPE type, ByteView value) {
  values_.emplace_back(type, to_bytes(value));
  return *this;
}

Template& Template::set_text(CK_ATTRIBUTE_TYPE type, std::string_view value) {
  return set(type, as_bytes(value));
}

Template& Template::set_bool(CK_ATTRIBUTE_TYPE type, bool value) {
  const CK_BBOOL byte = value ? CK_TRUE : CK_FALSE;
  return set(type, {&byte, 1});
}

Template& Template::set_number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) {
  return set(type, {reinterpret_cast<const unsigned char*>(&value), sizeof value});
}

Template& Template::leave_out(CK_ATTRIBUTE_TYPE type) {
  std::erase_if(values_, [type](const auto& value) { return value.first == type; });
  return *this;
}

std::vector<CK_ATTRIBUTE> Template::view() const {
  std::vector<CK_ATTRIBUTE> attributes;
  attributes.reserve(values_.size());
  for (const auto& [type, value] : values_) {
    // Cryptoki declares the values of a template that it only reads without const.
    attributes.push_back({type, const_cast<unsigned char*>(value.data()), value.size()});
  }
  return attributes;
}

std::string Template::describe() const {
  std::string text;
  for (const auto& [type, value] : values_) {
    if (!text.empty()) text += ' ';
    text += attribute_name(type);
    if (value.size() == sizeof(CK_BBOOL)) {
      text += value[0] != 0 ? "=true" : "=false";
    } else if (value.size() == sizeof(CK_ULONG)) {
      CK_ULONG number = 0;
      std::memcpy(&number, value.data(), sizeof number);
      text += fmt::format("={:#x}", number);
    } else {
      text += fmt::format("[{}]", value.size());
    }
  }
  return text;
}

const Bytes* Attributes::find(CK_ATTRIBUTE_TYPE type) const {
  const auto found = values_.find(type);
  return found == values_.end() ? nullptr : &found->second;
}

Bytes Attributes::bytes(CK_ATTRIBUTE_TYPE type) const {
  const Bytes* value = find(type);
  return value != nullptr ? *value : Bytes{};
}

std::string Attributes::text(CK_ATTRIBUTE_TYPE type) const {
  return std::string(as_text(bytes(type)));
}

std::optional<bool> Attributes::flag(CK_ATTRIBUTE_TYPE type) const {
  const Bytes* value = find(type);
  if (value == nullptr || value->size() != sizeof(CK_BBOOL)) return std::nullopt;
  return value->front() != CK_FALSE;
}

std::optional<CK_ULONG> Attributes::number(CK_ATTRIBUTE_TYPE type) const {
  const Bytes* value = find(type);
  if (value == nullptr || value->size() != sizeof(CK_ULONG)) return std::nullopt;
  CK_ULONG number = 0;
  std::memcpy(&number, value->data(), sizeof number);
  if (number == CK_UNAVAILABLE_INFORMATION) return std::nullopt;
  return number;
}

}  // namespace hsmith::pkcs11
