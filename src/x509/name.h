// Distinguished names: from text, to text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/ossl/handles.h"

namespace hsmith::x509 {

// One attribute of a name. The type is a short name ("CN", "O", "emailAddress") or a dotted OID,
// the value UTF-8.
struct SubjectPart {
  std::string type;
  std::string value;
};

// A name from RFC 4514 text: "CN=www.example.com,O=Example Ltd,C=HK", the most specific part first,
// so C becomes the first RDN. Values become UTF8String, except C, serialNumber and dnQualifier
// (PrintableString), DC and emailAddress (IA5String), as RFC 5280, 4.1.2.4 and A.1 ask. Throws
// usage, naming the field, for bad syntax, unknown types and values beyond their bounds.
ossl::Name parse_name(std::string_view text);

// The same from single fields, ordered C, ST, L, O, OU, CN, emailAddress; other types come after
// OU. Fields of one type keep their order.
ossl::Name name_from_parts(std::span<const SubjectPart> parts);

// Gives the attribute at `index` of the encoding another value. Throws usage as parse_name does.
void replace_value(X509_NAME* name, int index, const std::string& value);

// RFC 4514 text, safe for a terminal and for one line: what printable() would escape is written
// as the hex pairs of RFC 4514, 2.4, so the text can be parsed back. Cut when longer than 8 KiB.
std::string name_text(const X509_NAME* name);

// The attributes in the order of the encoding. A value that is no text is "#" and its DER in hex.
std::vector<SubjectPart> name_parts(const X509_NAME* name);

// The last value of a type, as a Windows or OpenSSL program would read it; "" when there is none.
std::string last_value(const X509_NAME* name, std::string_view type);

// As RFC 5280, 7.1 compares: case and runs of spaces do not count.
bool same_name(const X509_NAME* a, const X509_NAME* b);
// Byte for byte.
bool same_encoding(const X509_NAME* a, const X509_NAME* b);

}  // namespace hsmith::x509
