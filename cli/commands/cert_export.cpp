// hsmith cert export: a certificate from the token to a file, alone or with its chain.
#include <ctime>
#include <fmt/format.h>

#include "cli/chain_store.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/chain.h"
#include "tokens/certificates.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string certificate;
  std::string output = "-";
  std::string format = "pem";
  bool chain = false;
};

// The certificate alone, or with its issuers from the token and the state folder, in the order that
// servers want and without the root.
std::vector<ossl::Certificate> to_export(const tokens::OpenToken& token, const Options& options,
                                         const tokens::Selector& selector, Context& context) {
  const tokens::TokenCertificate found = tokens::find_one_certificate(token, selector);
  std::vector<ossl::Certificate> list;
  list.push_back(x509::certificate_from_der(found.der, found.uri));
  if (!options.chain) return list;
  const auto pool = chain_pool(tokens::take_inventory(token), context);
  auto chain = x509::server_chain(list.front().get(), pool, std::time(nullptr));
  X509* leaf = list.front().get();
  if (chain.size() == 1 && !x509::is_issued_by(leaf, leaf)) {
    context.warn(
        fmt::format("the issuer of {} is not here, so there is no chain: hsmith chain "
                    "install FILE",
                    found.uri));
  }
  return chain;
}

Bytes content_of(const std::vector<ossl::Certificate>& list, const std::string& format) {
  if (format == "p7b") return x509::certificates_p7b(list);
  if (format == "der") return x509::certificate_der(list.front().get());
  return to_bytes(as_bytes(x509::certificates_pem(list)));
}

Outcome run(const Options& options, Context& context) {
  if (options.chain && options.format == "der") {
    throw Error(Kind::usage, "cert export: DER holds one certificate")
        .hint("use --format pem or p7b with --chain");
  }
  check_output(options.output, context.replace());
  const tokens::Selector selector = tokens::parse_selector(options.certificate);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, &selector);
  const auto list = to_export(token, options, selector, context);
  const Bytes content = content_of(list, options.format);
  if (context.options.plan) return planned({{Change::Kind::create, "file " + options.output}});
  Outcome outcome;
  outcome.data = {{"certificates", list.size()}, {"format", options.format}};
  if (options.output == "-") {
    if (options.format == "pem") {
      outcome.text = as_text(content);
      outcome.data["pem"] = outcome.text;
    } else {
      outcome.raw = content;
    }
    return outcome;
  }
  write_file(options.output, content, kPublicFile, context.replace());
  outcome.data["file"] = json_text(options.output);
  outcome.text = fmt::format("{}: {} certificate(s)\n", printable(options.output), list.size());
  return outcome;
}

}  // namespace

void add_cert_export(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command
      .add_option("CERT", options->certificate,
                  "Label, id:HEX, sha256:HEX or PKCS#11 URI of a certificate on the token")
      .required();
  command.add_flag("--chain", options->chain,
                   "With its issuers, without the root, in the order that servers want");
  command.add_option("--format", options->format, "pem, der or p7b (default pem)")
      .one_of({"pem", "der", "p7b"});
  command.add_option("-o,--output", options->output, "File to write (default: standard output)");
  command.footer(
      "Examples:\n  hsmith cert export web -o web.pem\n  hsmith cert export web --chain --format "
      "p7b -o web.p7b");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
