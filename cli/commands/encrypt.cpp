// hsmith encrypt: a CMS message for the holders of certificates. Needs no token.
#include "src/cms/encrypt.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <optional>
#include <unistd.h>

#include "cli/certificate_argument.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/file_identity.h"
#include "src/base/new_file.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::vector<std::string> to;
  std::string cipher = "aes-256-cbc";
  std::string rsa_padding = "oaep";
  std::string file;
  std::string output;
};

std::string output_of(const Options& options) {
  if (!options.output.empty()) return options.output;
  return options.file == "-" ? "-" : options.file + ".p7m";
}

void check_options(const Options& options, const Context& context) {
  const std::string output = output_of(options);
  if (is_same_file(options.file, output)) {
    throw Error(Kind::usage,
                fmt::format("encrypt {}: input and output are the same", quoted(options.file)));
  }
  if (context.options.json && output == "-") {
    throw Error(Kind::usage, "print a message as JSON: that does not go together")
        .hint("name a file with -o");
  }
  if (output == "-" && isatty(STDOUT_FILENO) != 0) {
    throw Error(Kind::usage, "print a message to a terminal: it is binary")
        .hint("name a file with -o, or a pipe");
  }
  check_output(output, context.replace());
}

// The recipients' certificates, each once.
std::vector<ossl::Certificate> recipients_of(const Options& options, Context& context,
                                             Json& described) {
  std::vector<ossl::Certificate> recipients;
  std::optional<tokens::OpenToken> token;
  for (const std::string& argument : options.to) {
    NamedCertificate named = certificate_argument(context, argument, token);
    cms::check_recipient(named.certificate.get(), std::time(nullptr), named.name);
    const bool again =
        std::any_of(recipients.begin(), recipients.end(), [&](const ossl::Certificate& other) {
          return x509::same_certificate(other.get(), named.certificate.get());
        });
    if (again) {
      context.warn(fmt::format("{} is named twice", named.name));
      continue;
    }
    const x509::CertificateFacts facts = x509::certificate_facts(named.certificate.get());
    described.push_back({{"subject", json_text(facts.subject)},
                         {"issuer", json_text(facts.issuer)},
                         {"serial", facts.serial},
                         {"sha256", facts.sha256},
                         {"key_type", facts.key_type}});
    recipients.push_back(std::move(named.certificate));
  }
  return recipients;
}

Outcome run(const Options& options, Context& context) {
  check_options(options, context);
  const cms::ContentCipher& cipher = cms::cipher_to_encrypt_with(options.cipher);
  Json described = Json::array();
  const auto recipients = recipients_of(options, context, described);
  const std::string output = output_of(options);
  if (context.options.plan) return planned({{Change::Kind::create, "file " + output}});
  const cms::Encryption encryption{
      recipients, &cipher,
      options.rsa_padding == "oaep" ? ossl::RsaPadding::oaep : ossl::RsaPadding::pkcs1};
  const cms::Content content = [&](const auto& take) { read_blocks(options.file, take); };
  write_file(output, kPublicFile, context.replace(),
             [&](NewFile& file) { cms::encrypt(encryption, content, file); });
  Outcome outcome;
  outcome.data = {{"file", json_text(options.file)},
                  {"output", json_text(output)},
                  {"cipher", cipher.name},
                  {"recipients", std::move(described)}};
  if (output != "-") outcome.text = printable(output) + "\n";
  return outcome;
}

}  // namespace

void add_encrypt(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--to", options->to, "A recipient's certificate: a file, or one on the token")
      .required()
      .one_each();
  command.add_option(
      "--cipher", options->cipher,
      "aes-256-cbc (default), which every program reads, or aes-256-gcm, which shows "
      "every change");
  command
      .add_option("--rsa-padding", options->rsa_padding,
                  "oaep (default, with SHA-256), or pkcs1 for programs that lack it")
      .one_of({"oaep", "pkcs1"});
  command.add_option("-o,--output", options->output, "Where it goes (default FILE.p7m)");
  command.add_option("FILE", options->file, "The file; - is standard input").required();
  command.footer(
      "Examples:\n  hsmith encrypt --to alice.crt report.pdf\n"
      "  hsmith encrypt --to alice.crt --to bob.crt --cipher aes-256-gcm -o r.p7m report.pdf");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
