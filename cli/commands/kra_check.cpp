// hsmith kra check: whether a certificate is one of a recovery agent that keys may be encrypted to.
#include <ctime>
#include <fmt/format.h>

#include "cli/archive_access.h"
#include "cli/commands.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string certificate;
};

Outcome run(const Options& options, Context& context) {
  const auto certificate =
      x509::read_certificate(read_file(options.certificate), quoted(options.certificate));
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  const auto state =
      recovery::agent_state(certificate.get(), trust_of(context, archive), std::time(nullptr));
  Outcome outcome;
  outcome.exit = state.usable() ? 0 : 3;
  outcome.data = agent_json(certificate.get(), {}, state);
  outcome.data.erase("abilities");
  outcome.text = fmt::format("{}: {}{}{}\n", x509::certificate_facts(certificate.get()).subject,
                             state.state, state.cause.empty() ? "" : ": ", state.cause);
  return outcome;
}

}  // namespace

void add_kra_check(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_option(command, options->archive);
  command.add_option("CERT", options->certificate, "The agent's certificate, a file").required();
  command.footer("Examples:\n  hsmith kra check agent.crt\n  hsmith kra check agent.crt --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
