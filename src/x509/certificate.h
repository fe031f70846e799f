// Certificates: read in every usual form, described, written.
#pragma once

#include <ctime>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"
#include "src/x509/extensions.h"

namespace hsmith::x509 {

// All certificates of a file: PEM (several, text between them, "TRUSTED CERTIFICATE" with its trust
// settings), DER, PKCS#7 (PEM or DER), in their order. At least one. Throws malformed, naming
// `input` and what it holds instead.
std::vector<ossl::Certificate> read_certificates(ByteView content, std::string_view input);

// The same for a file of trusted certificates: one that is signed by itself, but not rightly, was
// damaged, and is refused, although no path needs its signature.
std::vector<ossl::Certificate> read_anchors(ByteView content, std::string_view input);

// Exactly one certificate; several are malformed.
ossl::Certificate read_certificate(ByteView content, std::string_view input);

// One DER certificate and nothing after it. Throws malformed.
ossl::Certificate certificate_from_der(ByteView der, std::string_view input);

struct CertificateFacts {
  std::string subject;
  std::string issuer;
  std::string serial;  // hex
  int version = 3;
  std::time_t not_before = 0;
  std::time_t not_after = 0;
  ExtensionFacts extensions;
  std::string key_type;  // "rsa:2048"; the algorithm's OID when hsmith cannot read it
  int key_bits = 0;
  std::string key_sha256;  // of the SubjectPublicKeyInfo, hex
  std::string signature_algorithm;
  std::string sha256;  // of the whole certificate, hex
  bool is_ca = false;
  bool self_issued = false;  // issuer = subject
};
// Throws malformed for a time or an extension that cannot be read.
CertificateFacts certificate_facts(X509* certificate);

// The key of a certificate, borrowed. Throws malformed, or unsupported for an unknown algorithm.
EVP_PKEY* public_key_of(X509* certificate);
std::string certificate_sha256(X509* certificate);
bool same_certificate(const X509* a, const X509* b);

// Dotted OIDs of critical extensions that neither OpenSSL nor hsmith understands.
std::vector<std::string> unknown_critical_extensions(X509* certificate);

Bytes certificate_der(X509* certificate);
std::string certificate_pem(X509* certificate);
std::string certificates_pem(std::span<const ossl::Certificate> certificates);
// A PKCS#7 file that holds certificates and nothing else (RFC 2315, 9: "degenerate"), DER.
Bytes certificates_p7b(std::span<const ossl::Certificate> certificates);

// What a certificate gives less than, or otherwise than, its request asked: one line each. Empty:
// all is as asked.
std::vector<std::string> differences_from_request(X509* certificate, X509_REQ* request);

}  // namespace hsmith::x509
