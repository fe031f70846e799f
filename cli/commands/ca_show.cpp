// hsmith ca show: a certificate that an authority issued, as its file has it.
#include <fmt/format.h>

#include "cli/authority.h"
#include "cli/certificate_output.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ca/revoke.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string serial;
  std::string ca;
  std::string output;
};

Outcome run(const Options& options, Context& context) {
  const Bytes serial = ca::parse_serial(options.serial);
  if (!options.output.empty()) check_output(options.output, context.replace());
  OpenAuthority authority = open_authority(context, options.ca, DatabaseMode::read);
  const auto issued = ca::issued_with_serial(authority.store, serial);
  if (!issued)
    throw Error(Kind::not_found, fmt::format("show the certificate {} of {}: it has given no such "
                                             "serial number",
                                             hex(serial), quoted(options.ca)))
        .hint(
            fmt::format("see those that it gave with: hsmith ca list {}", shell_word(options.ca)));
  const ossl::Certificate certificate =
      x509::certificate_from_der(issued->certificate, "the CA database");
  const std::string pem = x509::certificate_pem(certificate.get());
  Outcome outcome;
  outcome.data = issued_json(*issued);
  outcome.data["ca"] = options.ca;
  outcome.data["sha256"] = sha256_hex(issued->certificate);
  outcome.data["pem"] = pem;
  if (!options.output.empty() && options.output != "-") {
    write_file(options.output, as_bytes(pem), kPublicFile, context.replace());
    outcome.text = fmt::format("{}: certificate {} for {}\n", printable(options.output),
                               hex(serial), issued->subject);
    return outcome;
  }
  if (options.output == "-") {
    outcome.text = pem;
    return outcome;
  }
  outcome.text = certificate_text(x509::certificate_facts(certificate.get()));
  outcome.text +=
      fmt::format("issued         {} by the profile {}, written to {}\n", rfc3339(issued->issued),
                  printable(issued->profile), quoted(issued->file));
  if (!issued->reason.empty())
    outcome.text +=
        fmt::format("revoked        {} ({})\n", rfc3339(issued->revoked), issued->reason);
  return outcome;
}

}  // namespace

void add_ca_show(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("SERIAL", options->serial, "Serial number, hex").required();
  command.add_option("--ca", options->ca, "Name of the CA").required();
  command.add_option("-o,--output", options->output, "Write the certificate (PEM) to this file");
  command.footer(
      "Examples:\n  hsmith ca show 5f0c8a… --ca lab\n"
      "  hsmith ca show 5f0c8a… --ca lab -o web.crt");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
