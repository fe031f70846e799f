#include "cli/trust.h"

#include <ctime>
#include <fmt/format.h>

#include "cli/arguments.h"
#include "cli/certificate_argument.h"
#include "cli/kept_crls.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

using ossl::Certificate;

std::vector<Certificate> anchors_of(const TrustOptions& options, const Context& context) {
  const std::vector<std::string>& files =
      options.trust.empty() ? context.config.trust_anchors : options.trust;
  if (files.empty()) {
    throw Error(Kind::usage, fmt::format("{}: nothing is trusted", context.command))
        .hint("add --trust FILE, --trust system, or [trust] anchors in the configuration");
  }
  return read_anchors(files);
}

std::vector<ossl::Crl> read_all(const std::vector<std::string>& files) {
  std::vector<ossl::Crl> lists;
  for (const std::string& file : files) {
    for (ossl::Crl& crl : read_crl_file(file)) lists.push_back(std::move(crl));
  }
  return lists;
}

}  // namespace

std::time_t time_of_check(const std::string& at) {
  if (at.empty()) return std::time(nullptr);
  const auto time = parse_time(at);
  if (!time) {
    throw Error(Kind::usage, fmt::format("--at {}: not a time", quoted(at)))
        .hint("write it as 2026-03-15T12:00:00Z");
  }
  return *time;
}

void add_anchor_options(Arguments& command, TrustOptions& options) {
  command.add_option("--trust", options.trust, "File of trusted roots, or system").one_each();
  command.add_option("--untrusted", options.untrusted, "File of intermediates").one_each();
  command.add_option("--at", options.at, "Time of the check, RFC 3339 (default: now)");
}

void add_trust_options(Arguments& command, TrustOptions& options) {
  add_anchor_options(command, options);
  command
      .add_option("--crl", options.crls,
                  "File of revocation lists; they must decide on every certificate")
      .one_each();
  command.add_flag("--require-crl", options.require_crl,
                   "Not good unless revocation lists decide on every certificate");
}

std::vector<ossl::Crl> known_crls(const Context& context) {
  std::vector<ossl::Crl> lists = read_all(context.config.trust_crls);
  for (KeptCrl& kept : kept_crls(context.environment.state_folder))
    lists.push_back(std::move(kept.crl));
  return lists;
}

Trust read_trust(const TrustOptions& options, const Context& context) {
  Trust trust;
  trust.time = time_of_check(options.at);
  trust.anchors = anchors_of(options, context);
  trust.untrusted = read_certificate_files(options.untrusted);
  trust.crls = options.crls.empty() ? known_crls(context) : read_all(options.crls);
  if (options.require_crl || !options.crls.empty()) {
    trust.revocation = x509::Revocation::required;
  } else if (!trust.crls.empty()) {
    trust.revocation = x509::Revocation::if_known;
  }
  return trust;
}

x509::Verdict verify(X509* leaf, const Trust& trust, x509::PathOptions options) {
  options.time = trust.time;
  options.revocation = trust.revocation;
  return x509::verify_path(leaf, trust.untrusted, trust.anchors, options, trust.crls);
}

}  // namespace hsmith::cli
