// PKCS#11 URIs (RFC 7512): how tokens and their objects are named.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/base/bytes.h"
#include "src/base/secret.h"

namespace hsmith::tokens {

enum class ObjectType { cert, data, private_key, public_key, secret_key };

struct LibraryVersion {
  unsigned char major_part = 0;
  unsigned char minor_part = 0;
};

// What a URI says; an attribute that it lacks matches anything. Texts are the bytes that the
// percent-encoding stood for: UTF-8 by the standard, but a token may hold anything.
struct Uri {
  std::optional<std::string> token;
  std::optional<std::string> manufacturer;
  std::optional<std::string> model;
  std::optional<std::string> serial;
  std::optional<std::string> library_manufacturer;
  std::optional<std::string> library_description;
  std::optional<LibraryVersion> library_version;
  std::optional<std::string> slot_manufacturer;
  std::optional<std::string> slot_description;
  std::optional<unsigned long> slot_id;
  std::optional<Bytes> id;
  std::optional<std::string> object;
  std::optional<ObjectType> type;
  std::optional<std::string> pin_source;
  std::optional<Secret> pin_value;
  std::optional<std::string> module_name;
  std::optional<std::string> module_path;
};

// True for what can only be meant as a URI: it begins with "pkcs11:", in any case.
bool is_uri(std::string_view text);

// Reads a URI strictly. Vendor attributes (x-...) are passed over; unknown or repeated ones,
// characters that must be percent-encoded, values longer than their PKCS#11 field, and pin-source
// together with pin-value are refused. Throws usage with the position; never repeats a PIN.
Uri parse_uri(std::string_view text);

// Throws refused when a URI that a user was given could run or load something: module-path, or a
// pin-source that is not a file.
void refuse_unsafe(const Uri& uri);

// The canonical text: token, manufacturer, model, serial, library, slot, id, object, type; all but
// unreserved characters percent-encoded, of the id every byte. What follows '?' tells how to reach
// an object, not which it is: it is left out, so a PIN never shows.
std::string format(const Uri& uri);

}  // namespace hsmith::tokens
