// hsmith ca exchange-cert: the certificate that keys are encrypted to on their way to an archive.
#include <ctime>
#include <fmt/format.h>

#include "cli/authority.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/findings.h"
#include "cli/new_key.h"
#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ca/issue.h"
#include "src/x509/certificate.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

constexpr const char* kKeyType = "rsa:3072";

struct Options {
  std::string ca;
  std::string output;
  std::string format = "pem";
};

std::string label_of(const std::string& ca) { return ca + "-Xchg"; }

// The exchange key; nothing when it has not been made yet.
std::optional<tokens::Key> exchange_key(const AuthorityToken& token, const std::string& ca) {
  std::optional<tokens::Key> found;
  for (const tokens::Key& key : token.inventory.private_keys) {
    if (key.label != label_of(ca)) continue;
    if (found)
      throw Error(Kind::ambiguous, fmt::format("find the exchange key of {}: several have the "
                                               "label {}",
                                               quoted(ca), quoted(key.label)))
          .hint("delete what is too many: hsmith key delete URI")
          .candidates({found->uri, key.uri});
    found = key;
  }
  if (found && (found->decrypt == false || found->sign == true))
    throw Error(Kind::refused,
                fmt::format("use the exchange key {}: it is not for decryption alone", found->uri))
        .hint("give it another label: hsmith key rename " + shell_word(found->uri) + " NEW");
  return found;
}

tokens::KeySpec key_spec(const std::string& ca) {
  tokens::KeySpec spec;
  spec.type = &ossl::key_type_named(kKeyType);
  spec.uses = {tokens::Use::decrypt};
  spec.label = label_of(ca);
  return spec;
}

Outcome finish(const Options& options, const ca::Issued& issued, const tokens::Key& key,
               const Context& context) {
  const ossl::Certificate certificate =
      x509::certificate_from_der(issued.certificate, "the CA database");
  const std::string pem = x509::certificate_pem(certificate.get());
  Outcome outcome;
  outcome.data = issued_json(issued);
  outcome.data["ca"] = options.ca;
  outcome.data["key"] = key.uri;
  outcome.data["sha256"] = sha256_hex(issued.certificate);
  if (options.output == "-") {
    outcome.data["pem"] = outcome.text = pem;
    if (options.format == "der") outcome.raw = issued.certificate;
    return outcome;
  }
  const Bytes content = options.format == "der" ? issued.certificate : to_bytes(as_bytes(pem));
  write_file(options.output, content, kPublicFile, context.replace());
  outcome.text =
      fmt::format("{}: exchange certificate {} for {}, until {}\n", printable(options.output),
                  hex(issued.serial), issued.subject, rfc3339(issued.not_after));
  return outcome;
}

ca::Issued issue(const Options& options, OpenAuthority& authority, const AuthorityToken& token,
                 const tokens::Key& key, const x509::Profile& profile, Undertaking& undertaking) {
  const std::time_t now = std::time(nullptr);
  const ossl::PKey half = tokens::public_key_of(token.token, key);
  if (!tokens::holds_private_half(token.token, key, half.get()))
    throw Error(Kind::mismatch, fmt::format("use the exchange key {}: it does not decrypt what is "
                                            "encrypted to its public half",
                                            key.uri));
  const ca::Draft draft = ca::draft_exchange(authority.store, half.get(), profile, now);
  const ca::Authority& own = ca::authority_in_service(authority.certificates);
  const ossl::Certificate made = ca::make_certificate(draft.content, signer_of(token, own));
  ca::Issued issued = ca::issued_from(made.get(), own, profile, now);
  issued.file = options.output;
  undertaking.know("serial", hex(issued.serial));
  Transaction transaction(authority.store);
  ca::add_issued(authority.store, issued);
  transaction.commit();
  return issued;
}

Outcome with_new_key(const Options& options, OpenAuthority& authority, const AuthorityToken& token,
                     const x509::Profile& profile, Context& context) {
  const tokens::KeySpec spec = key_spec(options.ca);
  const auto lock = tokens::lock_token(token.way, token.token.info);
  tokens::check_free(token.token, spec.label, {});
  const Json facts{{"ca", options.ca},
                   {"label", spec.label},
                   {"type", spec.type->name},
                   {"use", tokens::use_names(spec.uses)}};
  return undertake(context, token.token.info, facts, [&](Undertaking& undertaking) {
    const tokens::Generated made = tokens::generate(token.token, spec, [&](EVP_PKEY* key) {
      undertaking.know("public_key", hex(ossl::spki_of(key)));
    });
    for (const std::string& note : made.notes) context.warn(note);
    std::optional<ca::Issued> issued;
    try {
      issued = issue(options, authority, token, made.key, profile, undertaking);
    } catch (const Error& error) {
      remove_new_key(token.token, made.key, error, [] {});
    }
    return finish(options, *issued, made.key, context);
  });
}

Outcome run(const Options& options, Context& context) {
  if (options.output == "-" && options.format == "der" && context.options.json)
    throw Error(Kind::usage, "print a certificate in DER as JSON: that does not go together")
        .hint("name a file with -o");
  check_output(options.output, context.replace());
  const x509::Profile profile = x509::load_profile(ca::kExchangeProfile, profile_folder(context));
  OpenAuthority authority = open_authority(context, options.ca, DatabaseMode::change);
  ca::check_purposes(ca::authority_in_service(authority.certificates).certificate.get(), profile);
  const AuthorityToken token = open_authority_token(context, authority, pkcs11::Access::read_write);
  signer_of(token, ca::authority_in_service(authority.certificates));
  const auto key = exchange_key(token, options.ca);
  if (key) {
    const ossl::PKey half = tokens::public_key_of(token.inventory, *key);
    const auto present = ca::exchange_in_force(authority.store, half.get(), std::time(nullptr));
    if (present && !context.options.plan) return finish(options, *present, *key, context);
  }
  if (context.options.plan) {
    std::vector<Change> changes;
    if (!key)
      changes.push_back(
          {Change::Kind::create,
           fmt::format("key pair {} of type {} for decrypt on {}", quoted(label_of(options.ca)),
                       kKeyType, tokens::token_uri(token.token.info))});
    changes.push_back({Change::Kind::create, "exchange certificate of " + options.ca});
    changes.push_back({Change::Kind::create, "file " + options.output});
    return planned(changes);
  }
  if (!key) return with_new_key(options, authority, token, profile, context);
  const Json facts{{"ca", options.ca}, {"label", key->label}};
  return undertake(context, token.token.info, facts, [&](Undertaking& undertaking) {
    return finish(options, issue(options, authority, token, *key, profile, undertaking), *key,
                  context);
  });
}

}  // namespace

void add_ca_exchange_cert(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("--ca", options->ca, "Name of the CA").required();
  command.add_option("-o,--output", options->output, "File to write, or - for standard output")
      .required();
  command.add_option("--format", options->format, "pem or der (default pem)")
      .one_of({"pem", "der"});
  command.footer(
      "The one in force is given again until its last day; its key NAME-Xchg is made when there "
      "is none.\n\n"
      "Examples:\n  hsmith ca exchange-cert --ca lab -o lab-xchg.crt\n"
      "  hsmith ca exchange-cert --ca lab -o - | openssl x509 -noout -text");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
