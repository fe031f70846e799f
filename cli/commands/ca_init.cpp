// hsmith ca init: a key on the token, a self-signed certificate for it, and the authority's file.
#include <ctime>
#include <fmt/format.h>

#include "cli/authority.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/new_key.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ca/renew.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "tokens/certificates.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

constexpr std::time_t kDay = 86400;

struct Options {
  std::string name;
  std::string key_type;
  std::string subject;
  int days = 0;
  int path_length = -1;
  std::string extended_key_usage;
  std::vector<std::string> crl_urls;
  std::vector<std::string> issuer_urls;
  int crl_days = 7;
  std::string output;
};

void check_urls(const std::vector<std::string>& urls, const char* option) {
  for (const std::string& url : urls) {
    const bool known =
        url.starts_with("http://") || url.starts_with("https://") || url.starts_with("ldap://");
    const bool plain =
        std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (!known || !plain || url.size() > 1024)
      throw Error(Kind::usage, fmt::format("{} {}: expected http://, https:// or ldap://, in ASCII",
                                           option, quoted(url)));
  }
}

tokens::KeySpec key_spec(const Options& options) {
  tokens::check_new_label(options.name);
  tokens::KeySpec spec;
  spec.type = &ossl::key_type_named(options.key_type);
  if (spec.type->algorithm == ossl::KeyAlgorithm::aes)
    throw Error(Kind::usage, "--key-type aes: only key pairs sign certificates");
  spec.uses = {tokens::Use::sign};
  spec.label = options.name;
  return spec;
}

ossl::Certificate self_signed(const Options& options, const X509_NAME* subject,
                              const std::shared_ptr<ossl::RemoteKey>& key) {
  ca::AuthorityWishes wishes;
  if (!options.extended_key_usage.empty())
    wishes.extended_key_usage = x509::parse_extended_key_usage(options.extended_key_usage);
  wishes.path_length = options.path_length;
  wishes.not_before = std::time(nullptr) - ca::kClockSkew;
  wishes.not_after = wishes.not_before + options.days * kDay - 1;
  return ca::make_root(subject, key, wishes);
}

void remove_file(const std::filesystem::path& file) {
  std::error_code failed;
  std::filesystem::remove(file, failed);
  if (failed)
    throw Error(Kind::io, fmt::format("remove {}: {}", quoted(file.string()), failed.message()));
}

ca::Settings settings_of(const Options& options, const pkcs11::TokenInfo& token) {
  return {options.name,     token.label,         token.serial,
          options.crl_urls, options.issuer_urls, options.crl_days};
}

Outcome finish(const Options& options, const tokens::Key& key, X509* certificate,
               const std::filesystem::path& file, Context& context) {
  const x509::CertificateFacts facts = x509::certificate_facts(certificate);
  const std::string pem = x509::certificate_pem(certificate);
  Outcome outcome;
  outcome.data = {{"ca", options.name},
                  {"key", key.uri},
                  {"subject", json_text(facts.subject)},
                  {"serial", facts.serial},
                  {"not_after", rfc3339(facts.not_after)},
                  {"sha256", facts.sha256},
                  {"database", json_text(file.string())}};
  if (!options.output.empty()) {
    write_file(options.output, as_bytes(pem), kPublicFile, context.replace());
    outcome.data["file"] = json_text(options.output);
  }
  outcome.text = fmt::format("CA {}: {} by {}, until {}\nsha256 {}\n", quoted(options.name),
                             facts.subject, key.uri, rfc3339(facts.not_after), facts.sha256);
  return outcome;
}

Outcome run(const Options& options, Context& context) {
  const tokens::KeySpec spec = key_spec(options);
  const ossl::Name subject = x509::parse_name(options.subject);
  if (x509::last_value(subject.get(), "CN").empty())
    throw Error(Kind::usage, fmt::format("--subject {}: it has no CN", quoted(options.subject)));
  check_urls(options.crl_urls, "--cdp");
  check_urls(options.issuer_urls, "--aia");
  if (!options.output.empty()) check_output(options.output, context.replace());
  const FileLock mine = lock_authority(context, options.name);
  const auto file = ca::store_path(context.environment.state_folder, options.name);
  if (std::filesystem::exists(file)) {
    throw Error(Kind::exists, fmt::format("make the CA {}: there is one of this name, {}",
                                          quoted(options.name), quoted(file.string())))
        .hint("give another name");
  }
  const tokens::Reach way = reach(context);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write, way);
  const auto lock = tokens::lock_token(way, token.info);
  tokens::check_free(token, spec.label, {});
  if (context.options.plan) {
    return planned(
        {{Change::Kind::create, fmt::format("key pair {} of type {} on {}", quoted(spec.label),
                                            spec.type->name, tokens::token_uri(token.info))},
         {Change::Kind::create, "certificate of " + x509::name_text(subject.get())},
         {Change::Kind::create, "CA database " + file.string()}});
  }
  const Json facts{{"ca", options.name},
                   {"label", spec.label},
                   {"type", spec.type->name},
                   {"use", tokens::use_names(spec.uses)}};
  return undertake(context, token.info, facts, [&](Undertaking& undertaking) {
    const tokens::Generated made = tokens::generate(token, spec, [&](EVP_PKEY* key) {
      undertaking.know("public_key", hex(ossl::spki_of(key)));
    });
    for (const std::string& note : made.notes) context.warn(note);
    try {
      const ossl::Certificate certificate =
          self_signed(options, subject.get(), tokens::remote_key(token, made.key));
      ca::create_store(file, settings_of(options, token.info), certificate.get());
      tokens::install(token, tokens::take_inventory(token), made.key, certificate.get());
      return finish(options, made.key, certificate.get(), file, context);
    } catch (const Error& error) {
      remove_new_key(token, made.key, error, [&] { remove_file(file); });
    }
  });
}

}  // namespace

void add_ca_init(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("NAME", options->name, "Name of the CA and of its key; must be free")
      .required();
  command.add_option("--key-type", options->key_type, "rsa:3072, ec:p256, ec:p384, …").required();
  command.add_option("--subject", options->subject, "Distinguished name, RFC 4514: CN=…,O=…,C=…")
      .required();
  command.add_option("--days", options->days, "Days for which its certificate is valid")
      .required()
      .within(1, 36500);
  command
      .add_option("--path-length", options->path_length,
                  "How many authorities may stand below it, one under the other")
      .within(0, 100);
  command.add_option("--eku", options->extended_key_usage,
                     "The only purposes for which it may issue (default: all)");
  command.add_option("--cdp", options->crl_urls, "Where its list will be, for its certificates")
      .one_each();
  command
      .add_option("--aia", options->issuer_urls,
                  "Where its certificate will be, for its certificates")
      .one_each();
  command.add_option("--crl-days", options->crl_days, "Days from a list to the next (default 7)")
      .within(1, 3650);
  command.add_option("-o,--output", options->output, "File for its certificate (PEM)");
  command.footer(
      "Examples:\n  hsmith ca init lab --key-type ec:p384 --subject \"CN=Lab CA,O=Example "
      "Ltd,C=HK\" "
      "--days 3650 -o lab.crt\n"
      "  hsmith ca init mail --key-type rsa:3072 --subject CN=Mail --days 1825 --eku "
      "emailProtection,kra,caExchange");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
