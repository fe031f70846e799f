// hsmith ca renew: a new certificate of the authority, by the same key or a new one.
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
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string ca;
  bool same_key = false;
  bool new_key = false;
  std::string key_type;
  int days = 0;
  std::string output = "-";
};

// What a renewal makes: the new certificate, then the cross-certificates.
struct Made {
  ca::AuthorityKind kind;
  int generation;  // of the key that it certifies
  ossl::Certificate certificate;
};

Outcome finish(const Options& options, const std::vector<Made>& made, const Context& context) {
  Outcome outcome;
  outcome.data = {{"ca", options.ca}, {"certificates", Json::array()}};
  std::string bundle;
  std::string lines;
  for (const Made& one : made) {
    const x509::CertificateFacts facts = x509::certificate_facts(one.certificate.get());
    const std::string pem = x509::certificate_pem(one.certificate.get());
    const char* kind = ca::authority_kind_name(one.kind);
    outcome.data["certificates"].push_back({{"kind", kind},
                                            {"generation", one.generation},
                                            {"subject", json_text(facts.subject)},
                                            {"serial", facts.serial},
                                            {"not_after", rfc3339(facts.not_after)},
                                            {"sha256", facts.sha256},
                                            {"pem", pem}});
    bundle += pem;
    lines += fmt::format("{}: {} {} for {}, until {}\n", printable(options.output), kind,
                         facts.serial, facts.subject, rfc3339(facts.not_after));
  }
  if (options.output == "-") {
    outcome.text = bundle;
    return outcome;
  }
  write_file(options.output, as_bytes(bundle), kPublicFile, context.replace());
  outcome.data["file"] = json_text(options.output);
  outcome.text = lines;
  return outcome;
}

// On record, then on the token: what a crash leaves undone there, the record tells doctor.
void settle(const std::vector<Made>& made, OpenAuthority& authority,
            const tokens::OpenToken& token) {
  Transaction transaction(authority.store);
  for (const Made& one : made)
    ca::add_authority(authority.store, one.kind, one.generation, one.certificate.get());
  transaction.commit();
  try {
    authority.certificates = ca::read_authorities(authority.store);
    settle_token(token, authority);
  } catch (const Error& error) {
    throw error.during("the CA is renewed, but its token is not up to date").unfinished();
  }
}

std::vector<Made> by_same_key(const Options& options, const ca::Authority& own,
                              const AuthorityToken& token) {
  std::vector<Made> made;
  made.push_back({ca::AuthorityKind::self_signed, own.generation,
                  ca::renew_root(own.certificate.get(), signer_of(token, own).key, options.days,
                                 std::time(nullptr))});
  return made;
}

std::vector<Made> by_new_key(const Options& options, const ca::Authority& own,
                             const AuthorityToken& token, const tokens::Key& key) {
  const auto remote = tokens::remote_key(token.token, key);
  const int next = own.generation + 1;
  std::vector<Made> made;
  made.push_back({ca::AuthorityKind::self_signed, next,
                  ca::renew_root(own.certificate.get(), remote, options.days, std::time(nullptr))});
  X509* fresh = made.front().certificate.get();
  made.push_back(
      {ca::AuthorityKind::new_with_old, next, ca::cross_certificate(fresh, signer_of(token, own))});
  made.push_back({ca::AuthorityKind::old_with_new, own.generation,
                  ca::cross_certificate(own.certificate.get(), {fresh, remote})});
  return made;
}

tokens::KeySpec key_spec(const Options& options, const ca::Authority& own) {
  const std::string type = options.key_type.empty()
                               ? ossl::key_type_name(X509_get0_pubkey(own.certificate.get()))
                               : options.key_type;
  tokens::KeySpec spec;
  spec.type = &ossl::key_type_named(type);
  if (spec.type->algorithm == ossl::KeyAlgorithm::aes)
    throw Error(Kind::usage, "--key-type aes: only key pairs sign certificates");
  spec.uses = {tokens::Use::sign};
  spec.label = label_of_generation(options.ca, own.generation + 1, 0);
  return spec;
}

Outcome with_new_key(const Options& options, OpenAuthority& authority, const AuthorityToken& token,
                     Context& context) {
  const ca::Authority& own = ca::authority_in_service(authority.certificates);
  const tokens::KeySpec spec = key_spec(options, own);
  const std::string retired = label_of_generation(options.ca, own.generation, 0);
  tokens::check_free(token.token, spec.label, {});
  tokens::check_free(token.token, retired, {});
  if (context.options.plan) {
    return planned(
        {{Change::Kind::create, fmt::format("key pair of type {} on {}", spec.type->name,
                                            tokens::token_uri(token.token.info))},
         {Change::Kind::create, "certificate of the new key, and two cross-certificates"},
         {Change::Kind::change, fmt::format("the old key's label to {}", quoted(retired))}});
  }
  const Json facts{{"ca", options.ca},
                   {"label", spec.label},
                   {"type", spec.type->name},
                   {"use", tokens::use_names(spec.uses)}};
  return undertake(context, token.token.info, facts, [&](Undertaking& undertaking) {
    const tokens::Generated key = tokens::generate(token.token, spec, [&](EVP_PKEY* half) {
      undertaking.know("public_key", hex(ossl::spki_of(half)));
    });
    for (const std::string& note : key.notes) context.warn(note);
    std::vector<Made> made;
    try {
      made = by_new_key(options, own, token, key.key);
      settle(made, authority, token.token);
    } catch (const Error& error) {
      if (error.is_unfinished()) throw;
      remove_new_key(token.token, key.key, error, [] {});
    }
    return finish(options, made, context);
  });
}

Outcome with_same_key(const Options& options, OpenAuthority& authority, const AuthorityToken& token,
                      Context& context) {
  const ca::Authority& own = ca::authority_in_service(authority.certificates);
  if (context.options.plan)
    return planned(
        {{Change::Kind::create, "certificate of the same key"},
         {Change::Kind::change, "the CA's certificate on " + tokens::token_uri(token.token.info)}});
  const Json facts{{"ca", options.ca}};
  return undertake(context, token.token.info, facts, [&](Undertaking&) {
    const std::vector<Made> made = by_same_key(options, own, token);
    settle(made, authority, token.token);
    return finish(options, made, context);
  });
}

Outcome run(const Options& options, Context& context) {
  if (options.same_key == options.new_key)
    throw Error(Kind::usage, "ca renew: say --same-key or --new-key, one of them");
  if (options.same_key && !options.key_type.empty())
    throw Error(Kind::usage, "ca renew: --key-type goes with --new-key");
  check_output(options.output, context.replace());
  OpenAuthority authority = open_authority(context, options.ca, DatabaseMode::change);
  const AuthorityToken token = open_authority_token(context, authority, pkcs11::Access::read_write);
  signer_of(token, ca::authority_in_service(authority.certificates));
  const auto lock = tokens::lock_token(token.way, token.token.info);
  return options.new_key ? with_new_key(options, authority, token, context)
                         : with_same_key(options, authority, token, context);
}

}  // namespace

void add_ca_renew(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("CA", options->ca, "Name of the CA").required();
  command.add_flag("--same-key", options->same_key, "A new certificate of the key in service");
  command.add_flag("--new-key", options->new_key,
                   "A new key, its certificate, and the cross-certificates between old and new");
  command.add_option("--key-type", options->key_type, "Of the new key (default: as before)");
  command.add_option("--days", options->days, "Days of validity (default: as many as before)")
      .within(1, 36500);
  command.add_option("-o,--output", options->output,
                     "File for all that is made, PEM (default: standard output)");
  command.footer(
      "Examples:\n  hsmith ca renew lab --same-key -o lab.crt --force\n"
      "  hsmith ca renew lab --new-key --key-type ec:p384 --days 3650 -o lab-2.pem");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
