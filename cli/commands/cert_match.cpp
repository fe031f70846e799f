// hsmith cert match: whether a certificate and a private key belong together, proved by the key.
#include <fmt/format.h>

#include "cli/certificate_argument.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/x509/certificate.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string certificate;
  std::string key;
};

// The named key, or the one on the token whose public half the certificate has; none when none has.
std::optional<tokens::Key> key_to_ask(const tokens::OpenToken& token, const Options& options,
                                      const NamedCertificate& named) {
  if (!options.key.empty()) return tokens::find_one(token, tokens::parse_selector(options.key));
  try {
    return tokens::key_of_certificate(token, tokens::take_inventory(token), named.certificate.get(),
                                      named.name);
  } catch (const Error& error) {
    if (error.kind() == Kind::mismatch) return std::nullopt;
    throw;
  }
}

Outcome run(const Options& options, Context& context) {
  std::optional<tokens::OpenToken> token;
  const NamedCertificate named = certificate_argument(context, options.certificate, token);
  const tokens::Selector selector =
      options.key.empty() ? tokens::Selector{} : tokens::parse_selector(options.key);
  if (!token) token = open_for_user(context, pkcs11::Access::read_only, &selector);
  const std::optional<tokens::Key> key = key_to_ask(*token, options, named);
  const bool fits =
      key && tokens::holds_private_half(*token, *key, x509::public_key_of(named.certificate.get()));
  Outcome outcome;
  outcome.exit = fits ? 0 : 3;
  outcome.data = {{"match", fits}};
  if (key) outcome.data["key"] = key->uri;
  if (fits) {
    outcome.text = fmt::format("{} and {} belong together\n", named.name, key->uri);
  } else {
    outcome.text = key ? fmt::format("NO: {} is not the key of {}\n", key->uri, named.name)
                       : fmt::format("NO: no private key on the token fits {}\n", named.name);
  }
  return outcome;
}

}  // namespace

void add_cert_match(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command
      .add_option("CERT", options->certificate,
                  "A file, or label, id:HEX or PKCS#11 URI of a certificate")
      .required();
  command.add_option("KEY", options->key,
                     "Label, id:HEX or PKCS#11 URI of a key (default: found by public key)");
  command.footer("Examples:\n  hsmith cert match web.crt web\n  hsmith cert match web.crt --json");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
