#include "cli/archival_request.h"

#include <filesystem>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/changes.h"
#include "cli/new_key.h"
#include "cli/passwords.h"
#include "cli/pending.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/software_key.h"
#include "src/recovery/archiving.h"
#include "src/recovery/cmc_write.h"
#include "src/x509/request.h"
#include "tokens/import.h"

namespace hsmith::cli {
namespace {

// The key and the request by it, before the token has anything of them.
struct Made {
  ossl::PKey key;
  x509::MadeRequest request;
  Bytes cmc;
  Bytes hash;
};

// What the key on the token must be able to do.
std::set<tokens::Use> uses_of(const Made& made, const tokens::KeySpec& spec) {
  const auto facts = x509::request_facts(made.request.read.get()).extensions;
  if (recovery::is_for_signatures_only(facts.key_usage, facts.extended_key_usage)) {
    throw Error(Kind::refused,
                "request new --archive: the key is for signatures only, and such "
                "keys are never archived")
        .hint("leave out --archive, or ask for --ku keyEncipherment");
  }
  auto uses = uses_of_key_usage(facts.key_usage, spec.type->algorithm);
  uses.insert(spec.type->algorithm == ossl::KeyAlgorithm::rsa ? tokens::Use::decrypt
                                                              : tokens::Use::derive);
  return uses;
}

// What Windows's clients say of themselves too: it helps whoever reads the authority's log.
recovery::ClientInfo this_client() {
  utsname machine{};
  uname(&machine);
  const passwd* user = getpwuid(geteuid());
  const auto text = [](const char* name) {
    return name != nullptr && is_utf8(name) ? std::string(name) : std::string();
  };
  return {"", text(machine.nodename), text(user != nullptr ? user->pw_name : nullptr), "hsmith"};
}

Made make(const ExchangeCertificate& certificates, const tokens::KeySpec& spec,
          const std::string& template_name, const SignRequest& sign) {
  Made made;
  made.key = ossl::generate_software_key(*spec.type);
  const auto signer = ossl::software_key(ossl::share(made.key.get()));
  made.request = sign(signer);
  made.cmc = recovery::make_cmc_request(
      {made.request.der, made.key.get(), certificates.exchange.get(), template_name, this_client()},
      signer);
  made.hash = recovery::read_cmc_request(made.cmc, "the CMC request").archived_key->hash;
  return made;
}

std::string absolute(const std::string& file) {
  return file == "-" ? file : std::filesystem::absolute(file).lexically_normal().string();
}

Outcome deliver(const Made& made, const ExchangeCertificate& certificates, const tokens::Key& key,
                const RequestOutput& output, Context& context) {
  keep_archival(context.environment.state_folder, made.key.get(),
                {made.hash, ossl::share(certificates.authority.get())});
  Outcome outcome = deliver_request(output, key, made.request, context);
  outcome.data["archived_key_hash"] = hex(made.hash);
  return outcome;
}

}  // namespace

void add_archival_options(Arguments& command, ArchivalOptions& options) {
  command.add_flag("--archive", options.wanted,
                   "Send the private key along for the authority's archive; with --key-type");
  command.add_option("--exchange-cert", options.exchange,
                     "With --archive: the authority's exchange certificate");
  command.add_option("--ca-cert", options.authority,
                     "With --archive: the authority's certificate, which you trust");
}

void check_archival_options(const ArchivalOptions& options, const std::string& key_type,
                            Context& context) {
  const bool certificates = !options.exchange.empty() && !options.authority.empty();
  if (!options.wanted) {
    if (options.exchange.empty() && options.authority.empty()) return;
    throw Error(Kind::usage, "request new: --exchange-cert and --ca-cert go with --archive");
  }
  guard_keys(context);
  if (!certificates) {
    throw Error(Kind::usage,
                "request new --archive: to whom the private key is encrypted is not "
                "said")
        .hint("add --exchange-cert FILE --ca-cert FILE");
  }
  if (key_type.empty()) {
    throw Error(Kind::refused,
                "request new --archive: the private key of a key that is on a token "
                "does not leave it (NTE_BAD_FLAGS 0x80090009)")
        .hint("--key-type makes a new one, which is archived");
  }
  const auto algorithm = ossl::key_type_named(key_type).algorithm;
  if (algorithm != ossl::KeyAlgorithm::rsa && algorithm != ossl::KeyAlgorithm::ec) {
    throw Error(Kind::refused, fmt::format("request new --archive: a key of type {} only signs, "
                                           "and such keys are never archived",
                                           key_type));
  }
}

Outcome request_with_archived_key(const ArchivalOptions& options, tokens::KeySpec spec,
                                  RequestOutput output, const std::string& template_name,
                                  const SignRequest& sign, Context& context) {
  const auto certificates = read_exchange_certificate(options.exchange, options.authority, context);
  const Made made = make(certificates, spec, template_name, sign);
  spec.uses = uses_of(made, spec);
  spec.id = ossl::key_identifier(made.key.get());
  output.wrap = [&](const Bytes&) { return made.cmc; };
  const tokens::Reach way = reach(context);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write, way);
  const auto lock = tokens::lock_token(way, token.info);
  tokens::check_free(token, spec.label, spec.id);
  if (context.options.plan) {
    return planned(
        {{Change::Kind::create,
          fmt::format("key pair {} of type {} for {} on {}, made in memory", quoted(spec.label),
                      spec.type->name, tokens::use_names(spec.uses),
                      tokens::token_uri(token.info))},
         {Change::Kind::create, fmt::format("request {} with its private key, encrypted to {}",
                                            output.file, options.exchange)}});
  }
  const Json facts{{"label", spec.label},
                   {"type", spec.type->name},
                   {"use", tokens::use_names(spec.uses)},
                   {"archive", true},
                   {"request", json_text(absolute(output.file))}};
  Outcome outcome = undertake(context, token.info, facts, [&](Undertaking& undertaking) {
    const tokens::Generated imported = tokens::import_key(
        token, spec, made.key.get(),
        [&](EVP_PKEY* half) { undertaking.know("public_key", hex(ossl::spki_of(half))); });
    for (const std::string& note : imported.notes) context.warn(note);
    const tokens::Key& key = imported.key;
    try {
      return deliver(made, certificates, key, output, context);
    } catch (const Error& error) {
      remove_new_key(token, key, error,
                     [&] { forget_request(context.environment.state_folder, made.key.get()); });
    }
  });
  context.warn("the key was outside of the token: the authority's archive has it too");
  return outcome;
}

}  // namespace hsmith::cli
