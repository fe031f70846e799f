// hsmith key public: the public half of a key, in the form that a program wants.
#include <fmt/format.h>

#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/public_formats.h"
#include "src/x509/input.h"
#include "tokens/matching.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string key;
  std::string output = "-";
  std::string format = "pem";
};

Bytes formatted(const EVP_PKEY* key, const std::string& format, const std::string& comment) {
  if (format == "der") return ossl::spki_of(key);
  if (format == "ssh")
    return to_bytes(as_bytes(ossl::ssh_public_key(key) + " " + printable(comment) + "\n"));
  if (format == "jwk") return to_bytes(as_bytes(ossl::jwk(key) + "\n"));
  return to_bytes(as_bytes(x509::pem("PUBLIC KEY", ossl::spki_of(key))));
}

Outcome run(const Options& options, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.key);
  check_output(options.output, context.replace());
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, &selector);
  const tokens::Key key = tokens::find_one(token, selector);
  const ossl::PKey half = tokens::proved_public_key_of(token, key);
  const Bytes content = formatted(half.get(), options.format, key.label);
  Outcome outcome;
  outcome.data = {
      {"uri", key.uri}, {"type", ossl::key_type_name(half.get())}, {"format", options.format}};
  if (options.output == "-") {
    if (options.format == "der") outcome.raw = content;
    outcome.text = as_text(content);
    if (options.format != "der") outcome.data["public_key"] = outcome.text;
    return outcome;
  }
  if (context.options.plan) return planned({{Change::Kind::create, "file " + options.output}});
  write_file(options.output, content, kPublicFile, context.replace());
  outcome.data["file"] = json_text(options.output);
  return outcome;
}

}  // namespace

void add_key_public(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("KEY", options->key, "Label, id:HEX or PKCS#11 URI").required();
  command.add_option("-o,--output", options->output, "File to write (default: standard output)");
  command.add_option("--format", options->format, "pem, der, ssh or jwk (default pem)")
      .one_of({"pem", "der", "ssh", "jwk"});
  command.footer(
      "Examples:\n  hsmith key public web -o web.pub.pem\n  hsmith key public login --format ssh");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
