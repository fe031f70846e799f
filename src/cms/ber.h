// BER (X.690) taken apart without OpenSSL: messages are hostile until their structure is known.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/base/bytes.h"

namespace hsmith::cms {

// Identifier octets (X.690, 8.1.2).
inline constexpr unsigned char kInteger = 0x02;
inline constexpr unsigned char kOctetString = 0x04;
inline constexpr unsigned char kNull = 0x05;
inline constexpr unsigned char kOid = 0x06;
inline constexpr unsigned char kSequence = 0x30;
inline constexpr unsigned char kSet = 0x31;
inline constexpr unsigned char kConstructed = 0x20;
// [number], primitive; with kConstructed what EXPLICIT and structures have.
constexpr unsigned char context_tag(int number) {
  return static_cast<unsigned char>(0x80 | number);
}

// One element, as views of the input.
struct Element {
  unsigned char tag = 0;
  ByteView content;  // without the header and, in the indefinite form, without the end mark
  ByteView whole;

  bool is_constructed() const { return (tag & kConstructed) != 0; }
};

// Throws malformed, naming `input`, unless the bytes are exactly one element: every element lies
// within the one around it, indefinite lengths end, nothing is nested deeper than 64 or has more
// than 4 million elements. Takes one pass and no recursion, whatever the input.
void check_ber(ByteView ber, std::string_view input);

// The elements of a constructed one, in order. Throws malformed with `what`, the name of what is
// read: "the signer info".
class Reader {
 public:
  Reader(ByteView content, std::string_view what) : rest_(content), what_(what) {}
  // Of the content of `element`, which must be constructed.
  Reader(const Element& element, std::string_view what);

  bool more() const { return !rest_.empty(); }
  unsigned char tag() const { return rest_.empty() ? 0 : rest_[0]; }
  Element next();
  // The next one, which must have this tag.
  Element take(unsigned char tag, std::string_view name);
  std::optional<Element> take_if(unsigned char tag);
  // Nothing may follow.
  void end() const;
  [[noreturn]] void refuse(std::string_view cause) const;

 private:
  ByteView rest_;
  std::string what_;
};

// The octets of an OCTET STRING, which BER may cut into segments (8.7.3); `element` has passed
// check_ber(). Implicit tags are taken as well.
std::size_t octets_size(const Element& element);
Bytes octets_of(const Element& element);

// AlgorithmIdentifier (RFC 5280, 4.1.1.2).
struct Algorithm {
  int nid = 0;  // OpenSSL's number of the OID; NID_undef when it does not know it
  std::optional<Element> parameters;

  bool has_parameters() const { return parameters && parameters->tag != kNull; }
};
Algorithm read_algorithm(const Element& element, std::string_view what);

// OpenSSL's number of an OBJECT IDENTIFIER, NID_undef when it does not know it.
int nid_of(const Element& oid);
// For messages: the short name, or dotted digits.
std::string oid_text(const Element& oid);

}  // namespace hsmith::cms
