// hsmith ca crl: the list of what is revoked, signed.
#include <ctime>
#include <fmt/format.h>

#include "cli/authority.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ca/crl.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

constexpr std::time_t kDay = 86400;

struct Options {
  std::string ca;
  std::optional<int> days;
  bool delta = false;
  int generation = 0;
  std::string output;
  std::string format = "pem";
};

ca::CrlPlan plan_of(const Options& options, OpenAuthority& authority, std::time_t now) {
  const int generation =
      ca::authority_in_service(authority.certificates, options.generation).generation;
  const int days = options.days.value_or(options.delta ? 1 : authority.settings.crl_days);
  return ca::plan_crl(authority.store, options.delta ? ca::CrlKind::delta : ca::CrlKind::complete,
                      generation, now, now + days * kDay);
}

Outcome finish(const Options& options, const ca::CrlPlan& plan, const Bytes& der) {
  Outcome outcome;
  outcome.data = {{"ca", options.ca},
                  {"number", plan.number},
                  {"entries", plan.entries.size()},
                  {"this_update", rfc3339(plan.this_update)},
                  {"next_update", rfc3339(plan.next_update)}};
  if (plan.base) outcome.data["base"] = *plan.base;
  if (options.output == "-") {
    outcome.text = ca::crl_pem(der);
    outcome.data["pem"] = outcome.text;
    if (options.format == "der") outcome.raw = der;
    return outcome;
  }
  outcome.data["file"] = json_text(options.output);
  outcome.text =
      fmt::format("{}: {} {} of {} with {} entries, until {}\n", printable(options.output),
                  plan.base ? "delta list" : "list", plan.number, printable(options.ca),
                  plan.entries.size(), rfc3339(plan.next_update));
  return outcome;
}

Outcome run(const Options& options, Context& context) {
  if (options.output == "-" && options.format == "der" && context.options.json)
    throw Error(Kind::usage, "print a list in DER as JSON: that does not go together")
        .hint("name a file with -o");
  check_output(options.output, context.replace());
  OpenAuthority authority = open_authority(context, options.ca, DatabaseMode::change);
  const std::time_t now = std::time(nullptr);
  const ca::CrlPlan plan = plan_of(options, authority, now);
  const ca::Authority& own = ca::authority_in_service(authority.certificates, plan.generation);
  if (x509::certificate_facts(own.certificate.get()).not_after < plan.next_update)
    context.warn("the list is to be renewed only after the CA's own certificate has ended");
  const AuthorityToken token = open_authority_token(context, authority, pkcs11::Access::read_only);
  const ca::Signer signer = signer_of(token, own);
  if (context.options.plan) {
    return planned(
        {{Change::Kind::create, fmt::format("list {} with {} entries, until {}", plan.number,
                                            plan.entries.size(), rfc3339(plan.next_update))},
         {Change::Kind::create, "file " + options.output}});
  }
  const Json facts{{"ca", options.ca}, {"number", plan.number}};
  return undertake(context, token.token.info, facts, [&](Undertaking&) {
    const Bytes der = ca::sign_crl(plan, signer);
    const Bytes content = options.format == "der" ? der : to_bytes(as_bytes(ca::crl_pem(der)));
    Transaction transaction(authority.store);
    ca::record_crl(authority.store, plan);
    transaction.commit();
    // A number that is recorded and whose list could not be written is passed over, no more.
    if (options.output != "-") write_file(options.output, content, kPublicFile, context.replace());
    return finish(options, plan, der);
  });
}

}  // namespace

void add_ca_crl(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--ca", options->ca, "Name of the CA").required();
  command.add_option("-o,--output", options->output, "File to write, or - for standard output")
      .required();
  command.add_option("--format", options->format, "pem or der (default pem)")
      .one_of({"pem", "der"});
  command
      .add_option("--days", options->days,
                  "Days until the next list (default: as ca init said; a delta: 1)")
      .within(1, 3650);
  command.add_flag("--delta", options->delta, "Only what changed since the last complete list");
  command
      .add_option("--generation", options->generation,
                  "Sign with the CA's first, second, … key (default: the one in service)")
      .within(1, 1000);
  command.footer(
      "Examples:\n  hsmith ca crl --ca lab -o lab.crl --force\n"
      "  hsmith ca crl --ca lab --delta --days 1 -o lab-delta.crl");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
