// Certificates that an authority makes: built, linted under a throw-away key, signed, verified.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"
#include "src/ossl/remote_key.h"
#include "src/x509/extensions.h"

namespace hsmith::ca {

// How far a clock that is slow may be behind: certificates and lists begin so much earlier.
inline constexpr std::time_t kClockSkew = 600;

// 128 random bits, positive, the first of its 16 bytes not zero (RFC 5280, 4.1.2.2).
Bytes random_serial();

// What a certificate shall say. The key and the names are borrowed for the call.
struct Content {
  Bytes serial;
  const X509_NAME* subject = nullptr;
  EVP_PKEY* key = nullptr;
  std::time_t not_before = 0;
  std::time_t not_after = 0;  // the last second
  x509::Wishes wishes;
  bool authority = false;  // basicConstraints cA, critical
  int path_length = -1;    // -1: none
  // Windows's template name; with it the purposes are application policies too, and no extension
  // is critical.
  std::string template_name;
  std::vector<std::string> crl_urls;     // cRLDistributionPoints
  std::vector<std::string> issuer_urls;  // authorityInfoAccess, caIssuers
};

// Who signs. Without a certificate the new one is self-signed: key and content.key are a pair.
struct Signer {
  X509* certificate = nullptr;
  std::shared_ptr<ossl::RemoteKey> key;
};

// Makes the certificate. Before the signer's key is used, the same certificate is signed with a key
// that is thrown away and linted (lint.h), and its path is verified with a stand-in for the
// signer's certificate; errors that this finds are thrown as refused. What comes back was parsed
// again, differs from what was linted only in its signature, and verifies.
ossl::Certificate make_certificate(const Content& content, const Signer& signer);

}  // namespace hsmith::ca
