// hsmith chain show: every path from a certificate to every anchor.
#include <ctime>
#include <fmt/format.h>

#include "cli/certificate_argument.h"
#include "cli/chain_store.h"
#include "cli/commands.h"
#include "src/base/text.h"
#include "src/x509/chain.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string certificate;
  std::vector<std::string> trust;
};

std::string end_of(const x509::IssuerPath& path, const x509::CertificateFacts& last) {
  if (path.anchored) return "ends at a trusted root";
  if (path.self_signed) return "ends at a root that is not trusted";
  return fmt::format("the issuer is not here: {}", last.issuer);
}

void add_path(const x509::IssuerPath& path, Outcome& outcome) {
  const std::time_t now = std::time(nullptr);
  Json json{{"anchored", path.anchored}, {"self_signed", path.self_signed}};
  json["chain"] = Json::array();
  x509::CertificateFacts facts;
  std::string text;
  for (std::size_t depth = 0; depth < path.chain.size(); ++depth) {
    facts = x509::certificate_facts(path.chain[depth].get());
    const bool in_time = facts.not_before <= now && now <= facts.not_after;
    json["chain"].push_back({{"subject", json_text(facts.subject)},
                             {"issuer", json_text(facts.issuer)},
                             {"sha256", facts.sha256},
                             {"not_after", rfc3339(facts.not_after)},
                             {"in_time", in_time}});
    text += fmt::format("  {} {}, until {}{}, sha256 {}\n", depth, facts.subject,
                        rfc3339(facts.not_after).substr(0, 10), in_time ? "" : " (NOT VALID NOW)",
                        facts.sha256.substr(0, 16));
  }
  if (!path.anchored && !path.self_signed) json["missing_issuer"] = json_text(facts.issuer);
  outcome.data["paths"].push_back(std::move(json));
  outcome.text +=
      fmt::format("path {}: {}\n{}", outcome.data["paths"].size(), end_of(path, facts), text);
}

Outcome run(const Options& options, Context& context) {
  const auto anchors =
      read_anchors(options.trust.empty() ? context.config.trust_anchors : options.trust);
  std::optional<tokens::OpenToken> token;
  const NamedCertificate named = certificate_argument(context, options.certificate, token);
  if (!token) token = open_for_user(context, pkcs11::Access::read_only);
  const auto pool = chain_pool(tokens::take_inventory(*token), context);
  const x509::IssuerPaths found = x509::issuer_paths(named.certificate.get(), pool, anchors);
  Outcome outcome;
  outcome.data["paths"] = Json::array();
  for (const x509::IssuerPath& path : found.paths) add_path(path, outcome);
  outcome.data["more"] = found.cut;
  if (found.cut) outcome.text += "there are more paths than are shown\n";
  const bool reaches = std::any_of(found.paths.begin(), found.paths.end(),
                                   [](const auto& path) { return path.anchored; });
  if (anchors.empty()) {
    context.warn("nothing is trusted: name anchors with --trust or in [trust] anchors");
  } else if (!reaches) {
    outcome.exit = 3;
    outcome.text += "NO path ends at a trusted root\n";
  }
  return outcome;
}

}  // namespace

void add_chain_show(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command
      .add_option("CERT", options->certificate,
                  "A file, or label, id:HEX or PKCS#11 URI of a certificate")
      .required();
  command
      .add_option("--trust", options->trust,
                  "File of trusted roots, or system (default: [trust] anchors)")
      .one_each();
  command.footer(
      "Examples:\n  hsmith chain show web\n  hsmith chain show ./web.crt --trust roots.pem --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
