// Certificate requests: PKCS#10 (RFC 2986).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/handles.h"
#include "src/ossl/remote_key.h"
#include "src/x509/extensions.h"

namespace hsmith::x509 {

struct RequestSpec {
  ossl::Name subject;  // null: the empty name
  Wishes wishes;
  std::optional<Secret> challenge_password;  // RFC 2985, 5.4.1: UTF-8, at most 255 characters
};

// A request that was signed: its DER, and the same as it was read again.
struct MadeRequest {
  Bytes der;
  ossl::Request read;
};

// Signs a request. Before it is given out, its DER is parsed again, its signature verified with
// the key's public key, and its subject, names and usages compared with the spec. Throws mismatch
// when any of this fails, and what the key throws.
MadeRequest make_request(const RequestSpec& spec, const std::shared_ptr<ossl::RemoteKey>& key,
                         const ossl::Scheme& scheme);

// A request from PEM ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", exactly one) or DER.
// Throws malformed, naming `input` and what it holds instead.
ossl::Request parse_request(ByteView content, std::string_view input);

enum class PemHeader { certificate_request, new_certificate_request };
std::string request_pem(ByteView der, PemHeader header);

// True when the request is signed with its own key, by an algorithm encoded as its standard says.
bool request_signature_ok(X509_REQ* request);

struct RequestFacts {
  std::string subject;
  ExtensionFacts extensions;
  std::string key_type;  // "rsa:2048"
  int key_bits = 0;
  std::string key_sha256;               // of the SubjectPublicKeyInfo, hex
  std::string signature_algorithm;      // "sha256WithRSAEncryption"
  std::vector<std::string> attributes;  // names or dotted OIDs
};
// Throws malformed for an extension that cannot be read.
RequestFacts request_facts(X509_REQ* request);

// The key of a request, borrowed. Throws malformed, or unsupported for an unknown algorithm.
EVP_PKEY* public_key_of(X509_REQ* request);

}  // namespace hsmith::x509
