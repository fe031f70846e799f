// hsmith cert install: the same as request complete, where nothing was pending.

#include "cli/commands.h"
#include "cli/installation.h"

namespace hsmith::cli {

void add_cert_install(Arguments& command, Context& context) {
  auto options = std::make_shared<InstallOptions>();
  add_install_options(command, *options);
  command.footer(
      "Examples:\n  hsmith cert install web.crt --chain ca.crt\n"
      "  hsmith cert install bundle.p7b --trust roots.pem --plan");
  command.callback([options, &context] {
    context.run = [options, &context] { return install_certificates(*options, context); };
  });
}

}  // namespace hsmith::cli
