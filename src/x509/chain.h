// Chains of issuers: every way up from a certificate, and the one that servers send.
#pragma once

#include <ctime>
#include <span>
#include <vector>

#include "src/ossl/handles.h"

namespace hsmith::x509 {

// One way up: leaf first, each certificate signed by the next. No validity is looked at.
struct IssuerPath {
  std::vector<ossl::Certificate> chain;
  bool anchored = false;     // the last one is an anchor
  bool self_signed = false;  // the last one has signed itself
};

struct IssuerPaths {
  std::vector<IssuerPath> paths;  // anchored ones first, short ones first
  bool cut = false;               // there are more than were looked for
};

// Every path from the leaf over `pool` to one of `anchors`, to a self-signed certificate, or to one
// whose issuer is not there. No path has two certificates of one subject and key (RFC 4158, 2.4.2),
// so cross-certificates that point at each other end. At most 100 paths of 20 certificates.
IssuerPaths issuer_paths(X509* leaf, std::span<const ossl::Certificate> pool,
                         std::span<const ossl::Certificate> anchors);

// What a server sends (RFC 8446, 4.4.2): the leaf, then each issuer, without the root. Among
// several ways the one whose certificates are valid at `time`, then the longest: a client that
// trusts an authority further down needs the rest no more.
std::vector<ossl::Certificate> server_chain(X509* leaf, std::span<const ossl::Certificate> pool,
                                            std::time_t time);

// The leaf, then its issuers up to a root where one is reached, else as far as `pool` goes.
std::vector<ossl::Certificate> order_chain(X509* leaf, std::span<const ossl::Certificate> pool);

// True when `issuer` is by name, key identifier and key usage who should have signed it.
bool names_issuer(X509* certificate, X509* issuer);
// True when `issuer` has the name, the key usage and the key that signed the certificate.
bool is_issued_by(X509* certificate, X509* issuer);

}  // namespace hsmith::x509
