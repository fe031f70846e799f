// hsmith ca revoke: a certificate that the next list names.
#include <ctime>
#include <fmt/format.h>

#include "cli/authority.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ca/revoke.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string serial;
  std::string ca;
  std::string reason = "unspecified";
};

Outcome run(const Options& options, Context& context) {
  const Bytes serial = ca::parse_serial(options.serial);
  const std::string reason = ca::parse_reason(options.reason);
  OpenAuthority authority = open_authority(context, options.ca, DatabaseMode::change);
  const ca::Issued issued = ca::check_revocation(authority.store, serial, reason);
  const std::vector<Change> changes{
      {reason == "removeFromCRL" ? Change::Kind::change : Change::Kind::destroy,
       fmt::format("the validity of the certificate {} for {}, until {} ({})", hex(issued.serial),
                   issued.subject, rfc3339(issued.not_after), reason)}};
  if (context.options.plan) return planned(changes);
  confirm(context, changes);
  const std::time_t now = std::time(nullptr);
  const Json facts{{"ca", options.ca}, {"serial", hex(serial)}, {"reason", reason}};
  undertake(context, token_of(authority.settings), facts, [&](Undertaking&) {
    Transaction transaction(authority.store);
    ca::check_revocation(authority.store, serial, reason);
    ca::add_revocation(authority.store, serial, reason, now);
    transaction.commit();
    return true;
  });
  Outcome outcome;
  outcome.data = {{"ca", options.ca},
                  {"serial", hex(serial)},
                  {"subject", json_text(issued.subject)},
                  {"reason", reason},
                  {"time", rfc3339(now)}};
  outcome.text =
      fmt::format("{} {} for {} ({}); make it known with: hsmith ca crl --ca {} -o FILE\n",
                  reason == "removeFromCRL" ? "released" : "revoked", hex(serial), issued.subject,
                  reason, shell_word(options.ca));
  return outcome;
}

}  // namespace

void add_ca_revoke(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("SERIAL", options->serial, "Serial number, hex").required();
  command.add_option("--ca", options->ca, "Name of the CA").required();
  command.add_option("--reason", options->reason,
                     "keyCompromise, superseded, certificateHold, … (RFC 5280; default "
                     "unspecified); removeFromCRL ends a hold");
  command.footer(
      "Examples:\n  hsmith ca revoke 5f0c8a… --ca lab --reason keyCompromise\n"
      "  hsmith ca revoke 5f0c8a… --ca lab --reason removeFromCRL --yes");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
