// hsmith cert list: the certificates of a token, and which of them expire soon.
#include <ctime>
#include <fmt/format.h>

#include "cli/certificate_output.h"
#include "cli/commands.h"
#include "cli/key_output.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/keys.h"

namespace hsmith::cli {
namespace {

// "30d", "12h", or a number of days.
std::time_t parse_span(const std::string& text) {
  std::size_t end = 0;
  long amount = -1;
  try {
    amount = std::stol(text, &end);
  } catch (const std::exception&) {
  }
  const std::string unit = text.substr(std::min(end, text.size()));
  const long seconds = unit.empty() || unit == "d" ? 86'400
                       : unit == "h"               ? 3'600
                       : unit == "w"               ? 604'800
                                                   : 0;
  if (amount < 0 || amount > 100'000 || seconds == 0) {
    throw Error(Kind::usage,
                fmt::format("--expiring {}: expected a time such as 30d, 12h or 4w", quoted(text)));
  }
  return amount * seconds;
}

// True when the token has the private key of the certificate.
bool has_key(const tokens::Inventory& inventory, X509* certificate) {
  EVP_PKEY* key = X509_get0_pubkey(certificate);
  for (const tokens::Key& candidate : inventory.private_keys) {
    try {
      if (key != nullptr &&
          ossl::same_public_key(tokens::public_key_of(inventory, candidate).get(), key))
        return true;
    } catch (const Error&) {  // a key whose public half nobody knows is nobody's
    }
  }
  return false;
}

struct Options {
  std::string expiring;
  std::string format = "table";
};

// A label's value in Prometheus' text format: backslash, quote and line feed escaped. printable()
// has written all other control characters with a backslash, which is escaped in its turn.
std::string metric_value(const std::string& text) {
  std::string escaped;
  for (const char c : printable(text)) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// One sample: when the certificate expires, in seconds since 1970.
std::string metric(const pkcs11::TokenInfo& token, const tokens::TokenCertificate& there,
                   const x509::CertificateFacts& facts, bool own) {
  return fmt::format(
      "hsmith_certificate_not_after_seconds{{token=\"{}\",serial=\"{}\",label=\"{}\",id=\"{}\","
      "subject=\"{}\",sha256=\"{}\",has_key=\"{}\"}} {}\n",
      metric_value(token.label), metric_value(token.serial), metric_value(there.label),
      hex(there.id), metric_value(facts.subject), facts.sha256, own ? "yes" : "no",
      static_cast<long long>(facts.not_after));
}

constexpr char kMetricHead[] =
    "# HELP hsmith_certificate_not_after_seconds When the certificate expires, in seconds since "
    "1970.\n"
    "# TYPE hsmith_certificate_not_after_seconds gauge\n";

Outcome run(const Options& options, Context& context) {
  const bool prometheus = options.format == "prometheus";
  if (prometheus && context.options.json)
    throw Error(Kind::usage, "cert list: --json and --format prometheus do not go together");
  const std::string& expiring = options.expiring;
  const std::time_t within = expiring.empty() ? 0 : parse_span(expiring);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only);
  const tokens::Inventory inventory = tokens::take_inventory(token);
  const std::time_t now = std::time(nullptr);
  const bool only_expiring = !expiring.empty();
  const std::time_t limit = now + within;
  Outcome outcome;
  outcome.data["token"] = tokens::token_uri(token.info);
  outcome.data["certificates"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  std::string metrics = kMetricHead;
  for (const tokens::TokenCertificate& there : inventory.certificates) {
    try {
      const ossl::Certificate certificate = x509::certificate_from_der(there.der, there.uri);
      const x509::CertificateFacts facts = x509::certificate_facts(certificate.get());
      if (only_expiring && facts.not_after > limit) continue;
      if (only_expiring) outcome.exit = 3;
      const bool own = has_key(inventory, certificate.get());
      Json json = certificate_json(facts);
      if (!there.label.empty()) json["label"] = json_text(there.label);
      if (!there.id.empty()) json["id"] = hex(there.id);
      json["uri"] = there.uri;
      json["has_key"] = own;
      json["expired"] = facts.not_after < now;
      outcome.data["certificates"].push_back(std::move(json));
      metrics += metric(token.info, there, facts, own);
      rows.push_back(
          {printable(there.label, 60), printable(facts.subject, 60), printable(facts.issuer, 60),
           rfc3339(facts.not_after).substr(0, 10) + (facts.not_after < now ? " EXPIRED" : ""),
           own ? "yes" : "no"});
    } catch (const Error& error) {
      context.warn(fmt::format("a certificate on the token cannot be read: {}", error.what()));
    }
  }
  warn_of_broken(inventory, context);
  outcome.text =
      prometheus ? metrics : table({"LABEL", "SUBJECT", "ISSUER", "EXPIRES", "KEY"}, rows);
  return outcome;
}

}  // namespace

void add_cert_list(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--expiring", options->expiring,
                     "Only what expires within this time (30d, 12h, 4w); exit 3 when there is any");
  command.add_option("--format", options->format, "table or prometheus (default table)")
      .one_of({"table", "prometheus"});
  command.footer(
      "Examples:\n  hsmith cert list --expiring 30d --json\n"
      "  hsmith cert list --format prometheus > /var/lib/node_exporter/hsmith.prom");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
