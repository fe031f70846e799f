// hsmith renew: the request for the successor of a certificate in service.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/key_output.h"
#include "cli/new_request.h"
#include "cli/renewal.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/cms/sign.h"
#include "src/x509/renewal.h"
#include "tokens/certificates.h"
#include "tokens/quirks.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string name;
  bool same_key = false;
  bool new_key = false;
  std::string key_type;
  std::string format = "pkcs10";
  RequestOutput output;
};

ossl::Certificate in_service(const tokens::Inventory& inventory, const tokens::Key& key) {
  try {
    const auto there = tokens::certificate_in_service(inventory, key);
    return x509::certificate_from_der(there.der, there.uri);
  } catch (const Error& error) {
    if (error.kind() != Kind::not_found) throw error.during("renew " + key.uri);
    throw error.during("renew " + key.uri)
        .hint("ask for a first one with: hsmith request new " + shell_word(key.label));
  }
}

// The request signed by the certificate that it renews: how some authorities know their own.
Bytes signed_by_old(const tokens::OpenToken& token, const tokens::Key& key, X509* certificate,
                    const Bytes& request) {
  const auto remote = tokens::remote_key(token, key);
  const ossl::Scheme scheme = ossl::choose_scheme(remote->public_key(), "", "");
  return cms::sign({remote, scheme, certificate, {}}, cms::Placing::attached,
                   [&](const std::function<void(ByteView)>& take) { take(request); });
}

std::set<tokens::Use> uses_of(const tokens::Key& key) {
  std::set<tokens::Use> uses;
  if (key.sign == true) uses.insert(tokens::Use::sign);
  if (key.decrypt == true) uses.insert(tokens::Use::decrypt);
  if (key.derive == true) uses.insert(tokens::Use::derive);
  if (uses.empty()) uses.insert(tokens::Use::sign);
  return uses;
}

tokens::KeySpec successor_of(const tokens::Key& key, const Options& options) {
  if (key.label.empty() || key.label.find('@') != std::string::npos) {
    throw Error(
        Kind::usage,
        fmt::format("renew {} with a new key: the new one's label is made of the old one's, "
                    "and {} is none that is in service",
                    key.uri, quoted(key.label)))
        .hint("give the key another label: hsmith key rename " + shell_word(key.uri) + " NEW");
  }
  tokens::KeySpec spec;
  spec.type =
      &ossl::key_type_named(options.key_type.empty() ? tokens::type_name(key) : options.key_type);
  if (spec.type->algorithm == ossl::KeyAlgorithm::aes)
    throw Error(Kind::usage, "--key-type aes: only key pairs can request a certificate");
  spec.label = waiting_label(key.label);
  spec.uses = uses_of(key);
  const bool other_kind = !options.key_type.empty() && spec.uses != std::set{tokens::Use::sign};
  // What an RSA key decrypts an EC key agrees on, and the other way round.
  if (other_kind && spec.type->algorithm != ossl::KeyAlgorithm::rsa &&
      spec.uses.erase(tokens::Use::decrypt) > 0)
    spec.uses.insert(tokens::Use::derive);
  if (other_kind && spec.type->algorithm == ossl::KeyAlgorithm::rsa &&
      spec.uses.erase(tokens::Use::derive) > 0)
    spec.uses.insert(tokens::Use::decrypt);
  return spec;
}

x509::MadeRequest request_by(const tokens::OpenToken& token, const tokens::Key& key,
                             X509* certificate) {
  const auto remote = tokens::remote_key(token, key, tokens::Signing::own_request);
  return x509::make_request(x509::renewal_spec(certificate), remote,
                            ossl::choose_scheme(remote->public_key(), "", ""));
}

Outcome with_new_key(const Options& options, Context& context, const tokens::Reach& way,
                     const tokens::OpenToken& token, const tokens::Key& key, X509* certificate) {
  if (tokens::token_quirks(token.info).fixed_labels) {
    throw Error(Kind::unsupported,
                fmt::format("renew {} --new-key: the token names its keys itself, so that none is "
                            "another's successor",
                            key.uri))
        .hint("take --same-key; or make another key in another place, and change over by hand");
  }
  const tokens::KeySpec spec = successor_of(key, options);
  try {
    tokens::check_free(token, spec.label, {});
  } catch (const Error& error) {
    throw error.during("renew " + key.uri)
        .hint(fmt::format("complete that renewal (hsmith request complete) or drop it: hsmith "
                          "request cancel {} --delete-key --token {}",
                          shell_word(spec.label), shell_word(token.info.label)));
  }
  return request_by_new_key(
      way, token, spec, options.output,
      [&](const tokens::Key& made) { return request_by(token, made, certificate); }, context);
}

Outcome run(Options& options, Context& context) {
  check_request_output(options.output, context);
  const tokens::Selector selector = tokens::parse_selector(options.name);
  const tokens::Reach way = reach(context, &selector);
  const auto access = options.new_key ? pkcs11::Access::read_write : pkcs11::Access::read_only;
  const tokens::OpenToken token = open_for_user(context, access, way, &selector);
  const tokens::Key key = tokens::find_one(token, selector);
  const ossl::Certificate certificate = in_service(tokens::take_inventory(token), key);
  if (options.format == "pkcs7") {
    tokens::check_may_sign(key);
    options.output.wrap = [&](const Bytes& request) {
      return signed_by_old(token, key, certificate.get(), request);
    };
  }
  if (options.new_key) return with_new_key(options, context, way, token, key, certificate.get());
  return request_by_present_key(
      way, token, key, options.output,
      [&](const tokens::Key& signer) { return request_by(token, signer, certificate.get()); },
      context);
}

}  // namespace

void add_renew(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command
      .add_option("NAME", options->name,
                  "The key in service: label, id:HEX or PKCS#11 URI; it has a certificate")
      .required();
  const Argument same_key =
      command.add_flag("--same-key", options->same_key, "A new certificate for the same key");
  const Argument new_key = command.add_flag(
      "--new-key", options->new_key, "A new pair, NAME@2 until its certificate is installed");
  command.require_one_of("how", {same_key, new_key});
  command.add_option("--key-type", options->key_type, "Type of the new key (default: as the old)")
      .needs(new_key);
  command.add_option("-o,--output", options->output.file,
                     "File to write (default: standard output)");
  command
      .add_option("--format", options->format,
                  "pkcs10, or pkcs7: the request signed by the certificate that it renews")
      .one_of({"pkcs10", "pkcs7"});
  command.footer(
      "Examples:\n  hsmith renew web --new-key -o web.csr\n"
      "  hsmith renew web --same-key -o web.csr");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
