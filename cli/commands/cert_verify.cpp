// hsmith cert verify: path validation, every path shown.
#include <fmt/format.h>
#include <iterator>

#include "cli/commands.h"
#include "cli/trust.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "src/x509/path.h"

namespace hsmith::cli {
namespace {

using ossl::Certificate;

struct Options {
  std::vector<std::string> files;
  TrustOptions trust;
  std::string purpose = "any";
  x509::PathOptions path;
};

Json problems_json(const std::vector<x509::PathProblem>& problems) {
  Json json = Json::array();
  for (const auto& problem : problems) {
    json.push_back({{"depth", problem.depth},
                    {"subject", json_text(problem.subject)},
                    {"reason", json_text(problem.reason)}});
  }
  return json;
}

Json path_json(const x509::Path& path) {
  Json chain = Json::array();
  for (const Certificate& certificate : path.chain) {
    chain.push_back(
        {{"subject", json_text(x509::name_text(X509_get_subject_name(certificate.get())))},
         {"sha256", x509::certificate_sha256(certificate.get())}});
  }
  return {{"ok", path.ok},
          {"chain", std::move(chain)},
          {"problems", problems_json(path.problems)},
          {"revocation_checked", path.revocation_checked},
          {"unchecked", problems_json(path.unchecked)}};
}

std::string path_text(const x509::Path& path) {
  std::string text;
  for (std::size_t depth = 0; depth < path.chain.size(); ++depth) {
    X509* certificate = path.chain[depth].get();
    text += fmt::format("  {} {}\n", depth, x509::name_text(X509_get_subject_name(certificate)));
  }
  for (const auto& problem : path.problems)
    text += fmt::format("  at {}: {}: {}\n", problem.depth, problem.subject, problem.reason);
  return text;
}

std::string revocation_text(const x509::Path& path) {
  if (path.revocation_checked) return "  revocation: checked\n";
  std::string text = "  revocation: not checked\n";
  for (const auto& problem : path.unchecked)
    text += fmt::format("    at {}: {}: {}\n", problem.depth, problem.subject, problem.reason);
  return text;
}

// One file: its first certificate is the one under test, what follows in it may serve as chain.
void verify_file(const std::string& file, Trust& trust, const x509::PathOptions& options,
                 Outcome& outcome) {
  std::vector<Certificate> certificates = x509::read_certificates(read_file(file), quoted(file));
  const Certificate leaf = std::move(certificates.front());
  const std::size_t given = trust.untrusted.size();
  std::move(certificates.begin() + 1, certificates.end(), std::back_inserter(trust.untrusted));
  const x509::Verdict verdict = verify(leaf.get(), trust, options);
  trust.untrusted.resize(given);

  if (!verdict.ok && outcome.exit == 0) outcome.exit = 3;
  Json json = path_json(verdict);
  json["file"] = json_text(file);
  json["other_paths"] = Json::array();
  outcome.text += fmt::format("{}: {}\n{}{}", printable(file), verdict.ok ? "good" : "NOT GOOD",
                              path_text(verdict), revocation_text(verdict));
  for (const x509::Path& other : verdict.other_paths) {
    json["other_paths"].push_back(path_json(other));
    outcome.text += fmt::format("  another path, {}:\n{}", other.ok ? "good too" : "not good",
                                path_text(other));
  }
  outcome.data["certificates"].push_back(std::move(json));
}

Outcome run(const Options& options, Context& context) {
  x509::PathOptions path = options.path;
  path.purpose = x509::purpose_named(options.purpose);
  path.all_paths = true;
  Trust trust = read_trust(options.trust, context);
  Outcome outcome;
  outcome.data["certificates"] = Json::array();
  for (const std::string& file : options.files) verify_file(file, trust, path, outcome);
  return outcome;
}

}  // namespace

void add_cert_verify(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  auto& path = options->path;
  command
      .add_option("FILE", options->files,
                  "Certificates, the one to verify first; - is standard input")
      .required();
  add_trust_options(command, options->trust);
  command.add_option("--purpose", options->purpose,
                     "server, client, email, kra, codesign, timestamp, any (default any)");
  command.add_option("--host", path.host, "The certificate must be good for this host name");
  command.add_option("--ip", path.ip, "The certificate must be good for this address");
  command.add_option("--email", path.emails, "The certificate must be good for this mailbox")
      .one_each();
  command.add_option("--max-depth", path.max_depth,
                     "Intermediates allowed between root and certificate");
  command.add_flag("--partial-chain", path.partial_chain,
                   "A trusted certificate need not be self-signed");
  command.add_flag("--strict", path.strict, "RFC 5280 to the letter");
  command.add_option("--security-level", path.security_level, "As OpenSSL counts: 0 to 5")
      .within(0, 5);
  command.add_option("--policy", path.policies, "Acceptable certificate policy (OID)").one_each();
  command.add_flag("--explicit-policy", path.explicit_policy, "RFC 5280, 6.1.1 (f)");
  command.add_flag("--inhibit-mapping", path.inhibit_mapping, "RFC 5280, 6.1.1 (e)");
  command.add_flag("--inhibit-any", path.inhibit_any, "RFC 5280, 6.1.1 (g)");
  command.footer(
      "Examples:\n  hsmith cert verify web.crt --untrusted sub.crt --trust root.crt --purpose "
      "server --host www.example.com --crl sub.crl --crl root.crl\n"
      "  hsmith cert verify web.crt --trust root.crt --at 2027-01-01 --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
