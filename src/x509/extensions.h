// The extensions that requests and certificates share (RFC 5280, 4.2).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"
#include "src/x509/alt_names.h"

namespace hsmith::x509 {

// "digitalSignature,keyEncipherment" in the words of RFC 5280, 4.2.1.3; case does not matter.
// Throws usage with the nearest word.
std::vector<std::string> parse_key_usage(std::string_view list);
// "serverAuth", "clientAuth", "emailProtection", "codeSigning", "timeStamping", "OCSPSigning",
// "smartcardLogon", "ipsecIKE", "kra" (1.3.6.1.4.1.311.21.6) and dotted OIDs.
std::vector<std::string> parse_extended_key_usage(std::string_view list);

// Dotted OIDs, with commas between them. Throws usage.
std::vector<std::string> parse_oids(std::string_view list);
// The dotted OID of an extended key usage in the words above.
std::string purpose_oid(const std::string& purpose);

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
  bool authority = false;  // basicConstraints with cA
  std::vector<ExtraExtension> extra;
};

// The extensions of a request: subjectAltName (critical when the subject is empty), keyUsage
// (critical), extendedKeyUsage, basicConstraints (critical) of an authority, subjectKeyIdentifier
// of the key, the extra ones.
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

}  // namespace hsmith::x509
