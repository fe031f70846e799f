// Subject alternative names (RFC 5280, 4.2.1.6): from text, to text, and in DER.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/ossl/handles.h"

namespace hsmith::x509 {

enum class AltNameKind { dns, ip, email, uri, upn, directory, other };

// One name of subjectAltName. dns: A-labels in lower case; ip: as inet_ntop writes it; upn: a user
// principal name; directory: RFC 4514; other: "OID=hex of the DER value". Names that were read are
// as the certificate has them, hostile bytes included.
struct AltName {
  AltNameKind kind;
  std::string value;

  bool operator==(const AltName&) const = default;
};

// "dns", "ip", "email", "uri", "upn", "directory", "other".
const char* alt_name_kind(AltNameKind kind);
// "dns:www.example.com", safe for one line and for a list that is joined with commas.
std::string text_of(const AltName& name);
std::vector<std::string> texts_of(std::span<const AltName> names);

// One or more names: "dns:www.example.com,ip:192.0.2.1". A comma separates names only where a kind
// and ':' follow it. Internationalised domain names become A-labels (IDNA2008), each with a line
// in `notices`. Throws usage with the name.
std::vector<AltName> parse_alt_names(std::string_view text, std::vector<std::string>& notices);
// One domain name, the wildcard "*" only as its whole left-most label (RFC 9525, 6.3).
AltName dns_name(std::string_view text, std::vector<std::string>& notices);
// Turns common names that are internationalised domain names into A-labels, each with a line in
// `notices`. What has other characters than a domain name, or ends like a surname ("J.Müller":
// ASCII and others in one last label), is left as it is.
void common_names_to_a_labels(X509_NAME* subject, std::vector<std::string>& notices);
// One IPv4 or IPv6 address. Throws usage.
AltName ip_name(std::string_view text);
// True for an IPv4 or IPv6 address.
bool is_ip(std::string_view text);

// Throws unsupported for what hsmith can only read (x400Address, ediPartyName, registeredID).
ossl::GeneralNames general_names(std::span<const AltName> names);
std::vector<AltName> alt_names_from(const GENERAL_NAMES* names);

}  // namespace hsmith::x509
