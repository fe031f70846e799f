// hsmith request complete: the certificate that the CA issued finds its key by public key.

#include "cli/commands.h"
#include "cli/installation.h"

namespace hsmith::cli {

void add_request_complete(Arguments& command, Context& context) {
  auto options = std::make_shared<InstallOptions>();
  add_install_options(command, *options);
  command.footer(
      "Examples:\n  hsmith request complete web.crt --chain ca.crt\n"
      "  hsmith request complete bundle.p7b --trust roots.pem --plan");
  command.callback([options, &context] {
    context.run = [options, &context] { return install_certificates(*options, context); };
  });
}

}  // namespace hsmith::cli
