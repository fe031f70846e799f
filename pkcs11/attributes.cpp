// Reading attributes: all of an object's in one call, without trusting a length.
#include <algorithm>
#include <fmt/format.h>

#include "pkcs11/error.h"
#include "pkcs11/names.h"
#include "pkcs11/session.h"

namespace hsmith::pkcs11 {
namespace {

// NSS 3.87 gives the numbers of what it keeps in its database to a room of just this size only.
bool is_number(CK_ATTRIBUTE_TYPE type) {
  return type == CKA_CLASS || type == CKA_KEY_TYPE || type == CKA_VALUE_LEN ||
         type == CKA_MODULUS_BITS;
}

// Room that suffices for nearly every value, so that one call reads an object. Odd on purpose: an
// attribute that comes back with just this length was not looked at (some modules stop at the
// first one that they do not know).
std::size_t usual_room(CK_ATTRIBUTE_TYPE type) {
  switch (type) {
    case CKA_VALUE:
      return 4099;
    case CKA_MODULUS:
    case CKA_PUBLIC_KEY_INFO:
      return 2591;
    case CKA_SUBJECT:
    case CKA_ISSUER:
      return 1031;
    case CKA_LABEL:
    case CKA_ID:
    case CKA_EC_PARAMS:
    case CKA_EC_POINT:
    case CKA_PUBLIC_EXPONENT:
    case CKA_SERIAL_NUMBER:
      return 263;
    default:
      return is_number(type) ? sizeof(CK_ULONG) : 19;
  }
}

constexpr unsigned char kUntouched = 0xff;

struct Asked {
  CK_ATTRIBUTE_TYPE type;
  Bytes room;
};

Asked with_room(CK_ATTRIBUTE_TYPE type, std::size_t room) {
  return {type, Bytes(room, kUntouched)};
}

// False for what was not looked at. A number fills its room; none that is asked for is
// CK_UNAVAILABLE_INFORMATION, which is what its room held before.
bool is_answered(const Asked& asked, CK_ULONG length) {
  if (length < asked.room.size()) return true;
  return is_number(asked.type) && length == asked.room.size() &&
         std::any_of(asked.room.begin(), asked.room.end(),
                     [](unsigned char byte) { return byte != kUntouched; });
}

bool is_per_attribute(CK_RV rv) {
  return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
         rv == CKR_BUFFER_TOO_SMALL;
}

}  // namespace

Attributes Session::get(CK_OBJECT_HANDLE object, std::span<const CK_ATTRIBUTE_TYPE> types) const {
  std::vector<Asked> asked;
  for (const CK_ATTRIBUTE_TYPE type : types) asked.push_back(with_room(type, usual_room(type)));

  const auto ask = [&](std::span<Asked> part) {
    std::vector<CK_ATTRIBUTE> view;
    for (Asked& one : part) view.push_back({one.type, one.room.data(), one.room.size()});
    const CK_RV rv = module_->call(
        "C_GetAttributeValue",
        [&] {
          return module_->functions().C_GetAttributeValue(handle_, object, view.data(),
                                                          view.size());
        },
        [&] {
          return fmt::format("object {}, {} attributes from {}", object, view.size(),
                             attribute_name(view.front().type));
        });
    if (rv != CKR_OK && !is_per_attribute(rv)) check(rv, "C_GetAttributeValue");
    return std::pair(rv, view);
  };

  // The size of one attribute that did not fit, and then its value, in calls of its own.
  const auto ask_alone = [&](CK_ATTRIBUTE_TYPE type) -> std::optional<Bytes> {
    CK_ATTRIBUTE size_query{type, nullptr, 0};
    const CK_RV rv = module_->call(
        "C_GetAttributeValue",
        [&] { return module_->functions().C_GetAttributeValue(handle_, object, &size_query, 1); },
        [&] { return fmt::format("object {}, size of {}", object, attribute_name(type)); });
    if (is_per_attribute(rv) || size_query.ulValueLen == CK_UNAVAILABLE_INFORMATION) {
      return std::nullopt;
    }
    check(rv, "C_GetAttributeValue");
    if (size_query.ulValueLen > kLargestAnswer) {
      throw Error(Kind::token_failed, fmt::format("{} claims to have {} bytes",
                                                  attribute_name(type), size_query.ulValueLen));
    }
    Asked again = with_room(type, size_query.ulValueLen + (is_number(type) ? 0 : 1));
    const auto [second, view] = ask({&again, 1});
    if (second != CKR_OK || !is_answered(again, view[0].ulValueLen)) return std::nullopt;
    again.room.resize(view[0].ulValueLen);
    return std::move(again.room);
  };

  const auto [rv, view] = ask(asked);
  Attributes attributes;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const CK_ULONG length = view[i].ulValueLen;
    // "Not there" and "too long" look alike when one call meets both; only a certificate's value is
    // ever longer than its room. A call for one attribute meets one of them.
    const bool one = asked.size() == 1 && rv != CKR_OK;
    const bool unavailable = length == CK_UNAVAILABLE_INFORMATION && rv != CKR_BUFFER_TOO_SMALL &&
                             (one || asked[i].type != CKA_VALUE);
    if (is_answered(asked[i], length)) {
      asked[i].room.resize(length);
      attributes.put(asked[i].type, std::move(asked[i].room));
    } else if (rv == CKR_OK && length > asked[i].room.size()) {
      if (length == CK_UNAVAILABLE_INFORMATION) continue;  // seen from OpenSC
      throw Error(Kind::token_failed, fmt::format("{} is longer than the room that it was given",
                                                  attribute_name(asked[i].type)));
    } else if (!unavailable) {
      if (std::optional<Bytes> value = ask_alone(asked[i].type)) {
        attributes.put(asked[i].type, std::move(*value));
      }
    }
  }
  return attributes;
}

Secret Session::read_secret(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const {
  Bytes room(16 * 1024);
  CK_ATTRIBUTE asked{type, room.data(), room.size()};
  const CK_RV rv = module_->call(
      "C_GetAttributeValue",
      [&] { return module_->functions().C_GetAttributeValue(handle_, object, &asked, 1); },
      [&] { return fmt::format("object {}, {} ***", object, attribute_name(type)); });
  Secret value = Secret::take(std::move(room));
  check(rv, "C_GetAttributeValue");
  if (asked.ulValueLen >= value.size()) return {};  // it was not looked at, or is no length
  return Secret(value.reveal().first(asked.ulValueLen));
}

}  // namespace hsmith::pkcs11
