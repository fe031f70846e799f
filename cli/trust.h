// What is trusted, what may link to it, and what is revoked: the options of every command that
// validates certificates.
#pragma once

#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/context.h"
#include "src/x509/path.h"

namespace hsmith::cli {

struct TrustOptions {
  std::vector<std::string> trust;      // files, or "system"
  std::vector<std::string> untrusted;  // files of intermediates
  std::vector<std::string> crls;       // files of revocation lists
  bool require_crl = false;
  std::string at;  // RFC 3339; "": now
};

// --trust, --untrusted, --at; and --crl, --require-crl besides.
void add_anchor_options(Arguments& command, TrustOptions& options);
void add_trust_options(Arguments& command, TrustOptions& options);

// The lists that the configuration names and those that were installed.
std::vector<ossl::Crl> known_crls(const Context& context);

struct Trust {
  std::vector<ossl::Certificate> anchors;
  std::vector<ossl::Certificate> untrusted;
  std::vector<ossl::Crl> crls;
  std::time_t time = 0;
  x509::Revocation revocation = x509::Revocation::off;
};

// Reads what the options name; without --trust the configured anchors. Lists: those of --crl, which
// then must decide on every certificate, else those that the configuration names and that were
// installed, which must with --require-crl only. Throws usage when nothing is trusted.
Trust read_trust(const TrustOptions& options, const Context& context);

// x509::verify_path with all of it.
x509::Verdict verify(X509* leaf, const Trust& trust, x509::PathOptions options);

// The time of --at, or now. Throws usage.
std::time_t time_of_check(const std::string& at);

}  // namespace hsmith::cli
