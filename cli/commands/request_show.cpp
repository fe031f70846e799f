// hsmith request show: what a certificate request says.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/cmc_output.h"
#include "cli/commands.h"
#include "src/base/text.h"
#include "src/x509/request.h"

namespace hsmith::cli {
namespace {

Outcome run(const std::string& file, Context&) {
  const Bytes content = read_file(file);
  if (auto cmc = show_cmc(content, file)) return std::move(*cmc);
  const ossl::Request request = x509::parse_request(content, quoted(file));
  const x509::RequestFacts facts = x509::request_facts(request.get());
  const bool verifies = x509::request_signature_ok(request.get());
  const auto& extensions = facts.extensions;
  Outcome outcome;
  outcome.data = {{"subject", json_text(facts.subject)},
                  {"names", x509::texts_of(extensions.names)},
                  {"key_usage", extensions.key_usage},
                  {"extended_key_usage", extensions.extended_key_usage},
                  {"other_extensions", extensions.other},
                  {"attributes", facts.attributes},
                  {"key_type", facts.key_type},
                  {"key_bits", facts.key_bits},
                  {"public_key_sha256", facts.key_sha256},
                  {"signature_algorithm", facts.signature_algorithm},
                  {"signature_verifies", verifies}};
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty()) outcome.text += fmt::format("{:<20} {}\n", name, value);
  };
  line("subject", facts.subject);
  for (const std::string& name : x509::texts_of(extensions.names)) line("name", name);
  line("key usage", fmt::format("{}", fmt::join(extensions.key_usage, ", ")));
  line("extended key usage", fmt::format("{}", fmt::join(extensions.extended_key_usage, ", ")));
  line("other extensions", fmt::format("{}", fmt::join(extensions.other, ", ")));
  line("attributes", fmt::format("{}", fmt::join(facts.attributes, ", ")));
  line("key", facts.key_type);
  line("public key (sha256)", facts.key_sha256);
  line("signature",
       fmt::format("{}, {}", facts.signature_algorithm, verifies ? "verifies" : "DOES NOT VERIFY"));
  outcome.exit = verifies ? 0 : 3;
  return outcome;
}

}  // namespace

void add_request_show(Arguments& command, Context& context) {
  auto file = std::make_shared<std::string>();
  command
      .add_option(
          "FILE", *file,
          "Certificate request: PKCS#10, or CMC as Windows has it; PEM or DER; - is standard input")
      .required();
  command.footer("Examples:\n  hsmith request show web.csr\n  hsmith request show web.csr --json");
  command.callback(
      [file, &context] { context.run = [file, &context] { return run(*file, context); }; });
}

}  // namespace hsmith::cli
