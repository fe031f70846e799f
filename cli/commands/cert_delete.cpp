// hsmith cert delete: one certificate from the token; its key stays.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "tokens/certificates.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string certificate;
  std::string login_as = "user";
};

Outcome run(const Options& options, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.certificate);
  const tokens::Reach way = reach_to_destroy(context, &selector);
  const tokens::OpenToken token = open_as(options.login_as, context, way, &selector);
  const auto lock = tokens::lock_token(way, token.info);
  const tokens::TokenCertificate certificate = tokens::find_one_certificate(token, selector);
  const std::vector<Change> changes{{Change::Kind::destroy, certificate.uri}};
  if (context.options.plan) return planned(changes);
  confirm(context, changes);
  undertake(context, token.info, {{"certificate", certificate.uri}}, [&](Undertaking&) {
    tokens::destroy(token, certificate);
    return true;
  });
  Outcome outcome;
  outcome.data["deleted"] = {certificate.uri};
  outcome.text = fmt::format("deleted {}\n", certificate.uri);
  return outcome;
}

}  // namespace

void add_cert_delete(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command
      .add_option("CERT", options->certificate,
                  "Label, id:HEX, sha256:HEX or PKCS#11 URI of a certificate on the token")
      .required();
  command.add_option("--login-as", options->login_as, "Who deletes it: user, or so (default user)")
      .one_of({"user", "so"});
  command.footer(
      "Examples:\n  hsmith cert delete web --token prod --plan\n  hsmith cert delete web --token "
      "prod --yes");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
