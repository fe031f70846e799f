// hsmith ca list: the authorities, or what one of them has issued.
#include <ctime>
#include <fmt/format.h>

#include "cli/authority.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

std::string state_of(const ca::Issued& issued, std::time_t now) {
  if (!issued.reason.empty()) return "revoked: " + issued.reason;
  return issued.not_after < now ? "expired" : "valid";
}

Outcome list_issued(const std::string& name, Context& context) {
  OpenAuthority authority = open_authority(context, name, DatabaseMode::read);
  const std::time_t now = std::time(nullptr);
  Outcome outcome;
  outcome.data = {{"ca", name}, {"certificates", Json::array()}};
  std::vector<std::vector<std::string>> rows;
  ca::for_each_issued(authority.store, [&](const ca::Issued& issued) {
    outcome.data["certificates"].push_back(issued_json(issued));
    rows.push_back({hex(issued.serial), issued.subject, printable(issued.profile),
                    rfc3339(issued.not_after), state_of(issued, now)});
  });
  outcome.text = rows.empty() ? "nothing was issued\n"
                              : table({"SERIAL", "SUBJECT", "PROFILE", "UNTIL", "STATE"}, rows);
  return outcome;
}

Outcome list_authorities(Context& context) {
  Outcome outcome;
  outcome.data["authorities"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const std::string& name : ca::authority_names(context.environment.state_folder)) {
    try {
      OpenAuthority authority = open_authority(context, name, DatabaseMode::read);
      const ca::Authority& own = ca::authority_in_service(authority.certificates);
      const x509::CertificateFacts facts = x509::certificate_facts(own.certificate.get());
      outcome.data["authorities"].push_back({{"ca", name},
                                             {"subject", json_text(facts.subject)},
                                             {"key_type", facts.key_type},
                                             {"generation", own.generation},
                                             {"public_key_sha256", facts.key_sha256},
                                             {"not_after", rfc3339(facts.not_after)},
                                             {"token", json_text(authority.settings.token_label)}});
      rows.push_back({printable(name), facts.subject, facts.key_type, rfc3339(facts.not_after),
                      printable(authority.settings.token_label)});
    } catch (const Error& error) {  // one that cannot be read hides no other
      outcome.failures.push_back(error);
    }
  }
  outcome.text =
      rows.empty() ? "there is no CA\n" : table({"CA", "SUBJECT", "KEY", "UNTIL", "TOKEN"}, rows);
  return outcome;
}

}  // namespace

void add_ca_list(Arguments& command, Context& context) {
  auto name = std::make_shared<std::string>();
  command.add_option("CA", *name, "List what this one has issued");
  command.footer("Examples:\n  hsmith ca list\n  hsmith ca list lab --json");
  command.callback([name, &context] {
    context.run = [name, &context] {
      return name->empty() ? list_authorities(context) : list_issued(*name, context);
    };
  });
}

}  // namespace hsmith::cli
