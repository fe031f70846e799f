// hsmith cert show: what a certificate says.

#include "cli/certificate_argument.h"
#include "cli/certificate_output.h"
#include "cli/commands.h"

namespace hsmith::cli {
namespace {

Outcome run(const std::string& argument, Context& context) {
  std::optional<tokens::OpenToken> token;
  const NamedCertificate named = certificate_argument(context, argument, token);
  const x509::CertificateFacts facts = x509::certificate_facts(named.certificate.get());
  Outcome outcome;
  outcome.data = certificate_json(facts);
  outcome.text = certificate_text(facts);
  return outcome;
}

}  // namespace

void add_cert_show(Arguments& command, Context& context) {
  auto argument = std::make_shared<std::string>();
  command
      .add_option("CERT", *argument,
                  "A file, or label, id:HEX, sha256:HEX or PKCS#11 URI of a certificate")
      .required();
  command.footer("Examples:\n  hsmith cert show web\n  hsmith cert show ./web.crt --json");
  command.callback([argument, &context] {
    context.run = [argument, &context] { return run(*argument, context); };
  });
}

}  // namespace hsmith::cli
