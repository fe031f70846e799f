// hsmith key import: a private key from a file, not extractable on the token, with its certificate.
#include "cli/key_import.h"

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/key_output.h"
#include "cli/passwords.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/recovery/pfx.h"
#include "src/recovery/private_key.h"
#include "src/x509/certificate.h"
#include "src/x509/input.h"
#include "tokens/import.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string file;
  std::string label;
  std::string use;
  std::optional<std::string> password;
};

void keep_own(ImportedKey& input, std::vector<ossl::Certificate> all) {
  for (ossl::Certificate& certificate : all) {
    EVP_PKEY* certified = X509_get0_pubkey(certificate.get());
    if (certified != nullptr && ossl::same_public_key(certified, input.key.get()))
      input.certificates.push_back(std::move(certificate));
  }
}

ImportedKey read_pkcs12(const Options& options, ByteView content, Context& context) {
  const std::string name = quoted(options.file);
  const bool open = recovery::pfx_opens_without_password(content, name);
  recovery::Pfx pfx = recovery::read_pfx(
      content, name, open ? Secret() : file_password(context, options.password, options.file));
  if (pfx.keys.size() != 1) {
    throw Error(pfx.keys.empty() ? Kind::malformed : Kind::ambiguous,
                fmt::format("import {}: it holds {} private keys", name, pfx.keys.size()))
        .hint("one file, one key: look at it with hsmith pfx show");
  }
  ImportedKey input;
  input.key = std::move(pfx.keys.front().key);
  std::vector<ossl::Certificate> all;
  for (auto& entry : pfx.certificates) all.push_back(std::move(entry.certificate));
  keep_own(input, std::move(all));
  return input;
}

ImportedKey read_input(const Options& options, Context& context) {
  const Secret content = Secret::take(read_file(options.file, recovery::kPfxLimit));
  const bool pem = x509::looks_like_pem(content.reveal());
  if (!pem && x509::kind_of_der(content.reveal()) == "a PKCS#12 file")
    return read_pkcs12(options, content.reveal(), context);
  ImportedKey input;
  input.key = recovery::read_private_key(content.reveal(), quoted(options.file), [&] {
    return file_password(context, options.password, options.file);
  });
  const std::string_view text = pem ? as_text(content.reveal()) : std::string_view();
  if (text.find("-----BEGIN CERTIFICATE-----") != std::string::npos)
    keep_own(input, x509::read_certificates(content.reveal(), quoted(options.file)));
  return input;
}

void check_pairs(const Options& options, const ImportedKey& input) {
  const ossl::PKey own = ossl::public_key_from_spki(ossl::spki_of(input.key.get()));
  const std::string problem = recovery::pair_problem(input.key.get(), own.get());
  if (!problem.empty())
    throw Error(Kind::malformed, fmt::format("import {}: the private key is damaged: {}",
                                             quoted(options.file), problem));
}

Outcome run(const Options& options, Context& context) {
  guard_keys(context);
  const ImportedKey input = read_input(options, context);
  const tokens::KeySpec spec = import_spec(input, options.label, options.use, quoted(options.file));
  check_pairs(options, input);
  const tokens::Reach way = reach(context);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write, way);
  const auto lock = tokens::lock_token(way, token.info);
  tokens::check_takes_keys(token);
  tokens::check_free(token, spec.label, spec.id);
  check_absent(token, inventory_for_change(token, context), input.key.get(),
               "import " + quoted(options.file));
  if (context.options.plan) {
    std::vector<Change> changes{
        {Change::Kind::create,
         fmt::format("key pair {} of type {} for {} on {}, from {}", quoted(spec.label),
                     spec.type->name, tokens::use_names(spec.uses), tokens::token_uri(token.info),
                     options.file)}};
    for (std::size_t i = 0; i < input.certificates.size(); ++i)
      changes.push_back({Change::Kind::create, "its certificate"});
    return planned(changes);
  }
  const tokens::Key key = import_with_certificates(context, token, spec, input);
  context.warn(fmt::format("{} was outside of the token: copies of it may be elsewhere", key.uri));
  Outcome outcome;
  outcome.data = key_json(key);
  outcome.text = fmt::format("{}\n", key.uri);
  return outcome;
}

}  // namespace

void add_key_import(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("FILE", options->file, "PKCS#12, PKCS#8, or a traditional PEM private key")
      .required();
  command.add_option("--label", options->label, "Label of the key on the token; must be free")
      .required();
  command.add_option("--use", options->use,
                     "sign, decrypt, derive, or several with commas (default: what its certificate "
                     "says, else sign)");
  command.add_option("--password-source", options->password,
                     "Password of the file: file:PATH, env:NAME, fd:N, cmd:COMMAND, prompt");
  command.footer(
      "Examples:\n  hsmith key import web.p12 --label web --password-source file:web.password\n"
      "  hsmith key import mail.key --label mail --use decrypt");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
