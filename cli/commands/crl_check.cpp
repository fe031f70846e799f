// hsmith crl check: is this certificate revoked?
#include <fmt/format.h>

#include "cli/certificate_argument.h"
#include "cli/commands.h"
#include "cli/trust.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string certificate;
  TrustOptions trust;
};

// A path that is not good proves nothing: the list's signer could be anyone, and the entry of an
// expired certificate may have been dropped (RFC 5280, 3.3).
std::string status_of(const x509::Verdict& verdict) {
  if (verdict.revoked) return "revoked";
  return verdict.ok && verdict.revocation_checked ? "good" : "unknown";
}

std::string text_of(const std::string& name, const std::string& status,
                    const x509::Verdict& verdict) {
  const char* words = status == "good"      ? "not revoked"
                      : status == "revoked" ? "REVOKED"
                                            : "UNKNOWN whether it is revoked";
  std::string text = fmt::format("{}: {}\n", name, words);
  for (const auto& problem : verdict.problems)
    text += fmt::format("  at {}: {}: {}\n", problem.depth, problem.subject, problem.reason);
  return text;
}

Outcome run(const Options& options, Context& context) {
  Trust trust = read_trust(options.trust, context);
  trust.revocation = x509::Revocation::required;
  std::optional<tokens::OpenToken> token;
  const NamedCertificate named = certificate_argument(context, options.certificate, token);
  x509::PathOptions path;
  path.leaf_only = true;
  const x509::Verdict verdict = verify(named.certificate.get(), trust, path);
  const x509::CertificateFacts facts = x509::certificate_facts(named.certificate.get());
  Outcome outcome;
  const std::string status = status_of(verdict);
  outcome.exit = status == "good" ? 0 : 3;
  outcome.data = {{"subject", json_text(facts.subject)},
                  {"issuer", json_text(facts.issuer)},
                  {"serial", facts.serial},
                  {"status", status},
                  {"reasons", Json::array()}};
  for (const auto& problem : verdict.problems)
    outcome.data["reasons"].push_back(json_text(problem.reason));
  outcome.text = text_of(named.name, status, verdict);
  return outcome;
}

}  // namespace

void add_crl_check(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("CERT", options->certificate, "File, label, id:HEX or PKCS#11 URI").required();
  add_anchor_options(command, options->trust);
  command
      .add_option("--crl", options->trust.crls,
                  "File of revocation lists, in place of those that are kept")
      .one_each();
  command.footer(
      "Examples:\n  hsmith crl check web.crt --trust root.crt --untrusted sub.crt\n"
      "  hsmith crl check label:web --trust root.crt --crl root.crl --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
