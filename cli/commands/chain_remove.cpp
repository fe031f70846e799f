// hsmith chain remove: one authority's certificate from the token or the state folder.
#include <fmt/format.h>

#include "cli/chain_store.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/key_output.h"
#include "src/base/text.h"

namespace hsmith::cli {
namespace {

Outcome run(const std::string& argument, Context& context) {
  const tokens::Reach way = reach_to_destroy(context);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write, way);
  const auto lock = tokens::lock_token(way, token.info);
  const auto all = chain_certificates(inventory_for_change(token, context), context);
  const ChainCertificate& one = find_chain_certificate(all, argument);
  const std::vector<Change> changes{
      {Change::Kind::destroy,
       fmt::format("{}: {}, issued by {}, valid until {}, sha256 {}", one.name, one.facts.subject,
                   one.facts.issuer, rfc3339(one.facts.not_after), one.facts.sha256)}};
  if (context.options.plan) return planned(changes);
  confirm(context, changes);
  undertake(context, token.info,
            {{"certificate", hex(x509::certificate_der(one.certificate.get()))},
             {"name", json_text(one.name)}},
            [&](Undertaking&) {
              remove_chain_certificate(token, one);
              return true;
            });
  Outcome outcome;
  outcome.data = {{"removed", json_text(one.name)},
                  {"place", place_name(one.place)},
                  {"subject", json_text(one.facts.subject)},
                  {"sha256", one.facts.sha256}};
  outcome.text = fmt::format("removed {}\n", printable(one.name));
  return outcome;
}

}  // namespace

void add_chain_remove(Arguments& command, Context& context) {
  auto argument = std::make_shared<std::string>();
  command
      .add_option("X", *argument,
                  "A file with the certificate, sha256:HEX, or label, id:HEX or PKCS#11 URI")
      .required();
  command.footer(
      "Examples:\n  hsmith chain remove ./old-sub-ca.crt --token prod\n"
      "  hsmith chain remove sha256:0a1b2c3d --token prod --yes");
  command.callback([argument, &context] {
    context.run = [argument, &context] { return run(*argument, context); };
  });
}

}  // namespace hsmith::cli
