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
};

struct PathProblem {
  int depth = 0;        // 0: the leaf
  std::string subject;  // of the certificate that fails
  std::string reason;   // one line
};

struct Path {
  std::vector<ossl::Certificate> chain;  // leaf first, as far as it could be built
  std::vector<PathProblem> problems;
};

struct Verdict {
  bool ok = false;
  std::vector<ossl::Certificate> chain;  // of the path that is good, else of the first one tried
  std::vector<PathProblem> problems;     // empty when ok
  std::vector<Path> other_paths;         // tried, and not good
  bool revocation_checked = false;
};

// Looks for a path from the leaf over `untrusted` to one of `anchors`, and checks it. Only
// `anchors` are trusted; a self-signed certificate among `untrusted` is not. Throws usage for
// options that make no sense (a bad host name, address, OID), internal when OpenSSL fails.
Verdict verify_path(X509* leaf, std::span<const ossl::Certificate> untrusted,
                    std::span<const ossl::Certificate> anchors, const PathOptions& options);

}  // namespace hsmith::x509
