// hsmith crl list: the revocation lists that cert verify uses without --crl.
#include <ctime>

#include "cli/commands.h"
#include "cli/crl_output.h"
#include "cli/kept_crls.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

struct Rows {
  Json json = Json::array();
  std::vector<std::vector<std::string>> text;
};

void add_row(X509_CRL* crl, const std::string& file, bool installed, Rows& rows) {
  const std::time_t now = std::time(nullptr);
  const x509::CrlFacts facts = x509::crl_facts(crl);
  Json json = crl_json(crl, facts, now);
  json["file"] = json_text(file);
  json["installed"] = installed;
  rows.json.push_back(std::move(json));
  std::string state = crl_state(facts, now);
  if (state == "stale") state = "STALE";
  rows.text.push_back({facts.issuer, crl_kind(facts), facts.number.empty() ? "-" : facts.number,
                       rfc3339(facts.this_update),
                       facts.next_update ? rfc3339(*facts.next_update) : "-",
                       std::to_string(facts.entries), state});
}

Outcome run(const Context& context) {
  Rows rows;
  for (const KeptCrl& kept : kept_crls(context.environment.state_folder))
    add_row(kept.crl.get(), kept.file.string(), true, rows);
  for (const std::string& file : context.config.trust_crls) {
    for (const ossl::Crl& crl : read_crl_file(file)) add_row(crl.get(), file, false, rows);
  }
  Outcome outcome;
  outcome.data["crls"] = std::move(rows.json);
  outcome.text = table(
      {"ISSUER", "KIND", "NUMBER", "THIS UPDATE", "NEXT UPDATE", "ENTRIES", "STATE"}, rows.text);
  return outcome;
}

}  // namespace

void add_crl_list(Arguments& command, Context& context) {
  command.footer("Examples:\n  hsmith crl list\n  hsmith crl list --json");
  command.callback([&context] { context.run = [&context] { return run(context); }; });
}

}  // namespace hsmith::cli
