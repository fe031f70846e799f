// Certification path validation (RFC 5280, section 6).
#pragma once

#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/ossl/handles.h"

namespace hsmith::x509 {

enum class Purpose { any, server, client, email, codesign, timestamp, kra };

// What revocation lists are asked for. `if_known`: a certificate that no list decides on passes,
// and the verdict says that it was not checked; `required`: it does not pass.
enum class Revocation { off, if_known, required };

// Throws usage with the nearest name.
Purpose purpose_named(std::string_view name);

struct PathOptions {
  std::time_t time = 0;  // the moment of the check; always given
  Purpose purpose = Purpose::any;
  // The certificate must be good for all of those that are given.
  std::string host;  // a domain name; Unicode is turned into A-labels
  std::string ip;
  std::vector<std::string> emails;
  std::optional<int> max_depth;  // intermediates between anchor and leaf
  bool partial_chain = false;    // an anchor need not be self-signed
  bool strict = false;  // RFC 5280 to the letter; servers: the CA/Browser Forum's rules too
  // As OpenSSL counts, 0 to 5. Not given: 2 (112 bits) for servers, else 1 (80 bits).
  std::optional<int> security_level;
  // The inputs of RFC 5280, 6.1.1. No policies: any.
  std::vector<std::string> policies;
  bool explicit_policy = false;
  bool inhibit_mapping = false;
  bool inhibit_any = false;
  // Asked of each certificate of the path but the anchor; `leaf_only`: of the leaf.
  Revocation revocation = Revocation::off;
  bool leaf_only = false;
  bool all_paths = false;  // look for the others even when the first one is good
};

struct PathProblem {
  int depth = 0;        // 0: the leaf
  std::string subject;  // of the certificate that fails
  std::string reason;   // one line
};

struct Path {
  bool ok = false;
  std::vector<ossl::Certificate> chain;  // leaf first, as far as it could be built
  std::vector<PathProblem> problems;     // empty when ok
  // True when lists that may be believed decided on each certificate that was asked about.
  bool revocation_checked = false;
  std::vector<PathProblem> unchecked;  // why they did not; with `required`, these are problems
  bool revoked = false;                // a list names a certificate of the path
};

// The path that is good, else the first one that was tried; and the others that there are.
struct Verdict : Path {
  std::vector<Path> other_paths;
};

// Looks for the paths from the leaf over `untrusted` to one of `anchors`, and checks them. Only
// `anchors` are trusted; a self-signed certificate among `untrusted` is not. `crls` is looked at
// when options.revocation asks for it. Throws usage for options that make no sense (a bad host
// name, address, OID), internal when OpenSSL fails.
Verdict verify_path(X509* leaf, std::span<const ossl::Certificate> untrusted,
                    std::span<const ossl::Certificate> anchors, const PathOptions& options,
                    std::span<const ossl::Crl> crls = {});

}  // namespace hsmith::x509
