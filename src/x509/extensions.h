// The extensions that requests and certificates share (RFC 5280, 4.2).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"

namespace hsmith::x509 {

enum class AltNameKind { dns, ip, email, uri, upn, directory, other };

// One name of subjectAltName. dns: A-labels in lower case; ip: as inet_ntop writes it; directory:
// RFC 4514; other: "OID=hex of the DER value". Names that were read are as the certificate has
// them.
struct AltName {
  AltNameKind kind;
  std::string value;

  bool operator==(const AltName&) const = default;
};

// "dns", "ip", "email", "uri", "upn", "directory", "other".
const char* alt_name_kind(AltNameKind kind);
// "dns:www.example.com", safe for one line.
std::string text_of(const AltName& name);

// One or more names: "dns:www.example.com,ip:192.0.2.1". A comma separates names only where a kind
// and ':' follow it. Internationalised domain names become A-labels (IDNA2008), each with a line
// in `notices`. Throws usage with the name.
std::vector<AltName> parse_alt_names(std::string_view text, std::vector<std::string>& notices);
// One domain name, the wildcard "*" only as its whole left-most label (RFC 9525, 6.3).
AltName dns_name(std::string_view text, std::vector<std::string>& notices);

// "digitalSignature,keyEncipherment" in the words of RFC 5280, 4.2.1.3; case does not matter.
// Throws usage with the nearest word.
std::vector<std::string> parse_key_usage(std::string_view list);
// "serverAuth", "clientAuth", "emailProtection", "codeSigning", "timeStamping", "OCSPSigning",
// "smartcardLogon", "ipsecIKE", "kra" (1.3.6.1.4.1.311.21.6) and dotted OIDs.
std::vector<std::string> parse_extended_key_usage(std::string_view list);

inline constexpr const char* kKraOid = "1.3.6.1.4.1.311.21.6";

// An extension whose value the user brings along.
struct ExtraExtension {
  std::string oid;  // dotted
  bool critical = false;
  Bytes der;  // what the OCTET STRING holds
};
// Throws usage for a bad OID or an extension that hsmith writes itself, malformed when the value
// is not exactly one DER element.
ExtraExtension extra_extension(std::string_view oid, bool critical, Bytes der);

// What a request asks for, or a certificate says.
struct Wishes {
  std::vector<AltName> names;
  std::vector<std::string> key_usage;
  std::vector<std::string> extended_key_usage;
  std::vector<ExtraExtension> extra;
};

// The extensions of a request: subjectAltName (critical when the subject is empty), keyUsage
// (critical), extendedKeyUsage, subjectKeyIdentifier of the key, the extra ones.
ossl::Extensions make_extensions(const Wishes& wishes, const X509_NAME* subject, EVP_PKEY* key);

// What was read. `other` holds the dotted OIDs of what is not spelled out here.
struct ExtensionFacts {
  std::vector<AltName> names;
  std::vector<std::string> key_usage;
  std::vector<std::string> extended_key_usage;
  std::optional<bool> is_ca;  // basicConstraints; absent when it is absent
  std::optional<long> path_length;
  std::string subject_key_id;  // hex; "" when absent
  std::string authority_key_id;
  std::vector<std::string> critical;  // dotted OIDs of the critical ones
  std::vector<std::string> other;
};
// `extensions` may be null. Throws malformed for a value that does not parse and for an extension
// that occurs twice.
ExtensionFacts read_extensions(const STACK_OF(X509_EXTENSION) * extensions);

// The texts of the names, for output.
std::vector<std::string> texts_of(std::span<const AltName> names);

}  // namespace hsmith::x509
