// hsmith chain list: the certificates of authorities from which chains are made.
#include <ctime>
#include <fmt/format.h>

#include "cli/chain_store.h"
#include "cli/commands.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

Outcome run(Context& context) {
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only);
  const std::time_t now = std::time(nullptr);
  Outcome outcome;
  outcome.data["certificates"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const ChainCertificate& one : chain_certificates(tokens::take_inventory(token), context)) {
    const x509::CertificateFacts& facts = one.facts;
    const bool expired = facts.not_after < now;
    outcome.data["certificates"].push_back({{"label", json_text(one.object.label)},
                                            {"subject", json_text(facts.subject)},
                                            {"issuer", json_text(facts.issuer)},
                                            {"serial", facts.serial},
                                            {"not_before", rfc3339(facts.not_before)},
                                            {"not_after", rfc3339(facts.not_after)},
                                            {"expired", expired},
                                            {"sha256", facts.sha256},
                                            {"place", place_name(one.place)},
                                            {"name", json_text(one.name)}});
    rows.push_back({printable(one.object.label, 60), printable(facts.issuer, 60),
                    rfc3339(facts.not_after).substr(0, 10) + (expired ? " EXPIRED" : ""),
                    place_name(one.place), facts.sha256.substr(0, 16)});
  }
  outcome.text = table({"AUTHORITY", "ISSUER", "EXPIRES", "PLACE", "SHA256"}, rows);
  return outcome;
}

}  // namespace

void add_chain_list(Arguments& command, Context& context) {
  command.footer("Examples:\n  hsmith chain list\n  hsmith chain list --token prod --json");
  command.callback([&context] { context.run = [&context] { return run(context); }; });
}

}  // namespace hsmith::cli
