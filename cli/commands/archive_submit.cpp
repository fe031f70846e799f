// hsmith archive submit: a request brings its private key; both or neither: the key is archived,
// the certificate issued.
#include <ctime>
#include <fmt/format.h>

#include "cli/authority.h"
#include "cli/authority_repair.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/findings.h"
#include "cli/passwords.h"
#include "cli/submission.h"
#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ca/issue.h"
#include "src/recovery/submission.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "src/x509/request.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string request;
  std::string exchange_key;
  std::string ca;
  std::string profile;
  SubmissionOutput output;
};

Submission read_submission(const Options& options, const Context& context) {
  Submission asked;
  asked.name = quoted(options.request);
  asked.ca = options.ca;
  asked.request = recovery::read_submission(read_file(options.request), asked.name);
  asked.sha256 = sha256_hex(asked.request.request_der);
  asked.profile = x509::load_profile(options.profile, profile_folder(context));
  if (asked.profile.archive_key == x509::Presence::forbidden) {
    throw Error(Kind::refused,
                fmt::format("archive the key of {}: the profile {} takes no keys into an archive "
                            "(CERTSRV_E_ARCHIVED_KEY_UNEXPECTED 0x80094810)",
                            asked.name, asked.profile.name))
        .hint("such a key belongs on a token alone, with a request of request new for ca issue");
  }
  return asked;
}

// What was begun for this request and interrupted is finished first.
void finish_interrupted(const Submission& asked, OpenAuthority& authority, Context& context) {
  for (const journal::Entry& entry : journal::unfinished(context.environment.state_folder)) {
    const auto& facts = entry.intent.facts;
    if (entry.intent.operation != context.command || !entry.unreadable.empty() ||
        facts.value("ca", "") != authority.settings.name ||
        facts.value("request", "") != asked.sha256)
      continue;
    const Repaired repaired = finish_submission(entry, authority, context);
    if (repaired.settled) journal::end(entry.file);
    context.warn(fmt::format("it was begun before and interrupted: {}", repaired.text));
  }
}

// The exchange certificate that the key is encrypted to; other recipients are ignored.
struct Exchange {
  const cms::Recipient* recipient;
  ca::Issued issued;
  ossl::Certificate certificate;
};
Exchange find_exchange(const Submission& asked, OpenAuthority& authority) {
  const auto& envelope = asked.request.archived_key->envelope;
  for (const cms::Recipient& recipient : envelope.data.recipients) {
    auto issued = ca::find_exchange(authority.store, [&](X509* certificate) {
      return cms::names(recipient.name, certificate);
    });
    if (!issued) continue;
    const std::string problem = ca::exchange_problem(authority.store, *issued, std::time(nullptr));
    if (!problem.empty()) {
      throw Error(Kind::refused,
                  fmt::format("archive the key of {}: it is encrypted to the exchange certificate "
                              "{}, but {}",
                              asked.name, hex(issued->serial), problem))
          .hint(fmt::format(
              "give the applicant the one in force: hsmith ca exchange-cert --ca {} -o FILE",
              shell_word(authority.settings.name)));
    }
    ossl::Certificate certificate =
        x509::certificate_from_der(issued->certificate, authority.store.path());
    return {&recipient, std::move(*issued), std::move(certificate)};
  }
  throw Error(
      Kind::mismatch,
      fmt::format("archive the key of {}: it is encrypted to {}, which is no exchange "
                  "certificate of the CA {} (CERTSRV_E_BAD_REQUEST_KEY_ARCHIVAL "
                  "0x8009400C)",
                  asked.name, recovery::recipient_names(envelope), quoted(authority.settings.name)))
      .hint(fmt::format("the one in force: hsmith ca exchange-cert --ca {} -o FILE",
                        shell_word(authority.settings.name)));
}

// On the CA's token, unless the URI names another one.
struct ExchangeKey {
  tokens::OpenToken token;
  std::shared_ptr<ossl::RemoteKey> key;
};
ExchangeKey open_exchange_key(const Options& options, const Exchange& exchange,
                              const AuthorityToken& authority, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(options.exchange_key);
  const tokens::TokenChoice choice = tokens::choice_of(selector.uri);
  ExchangeKey opened;
  opened.token = choice.text.empty() ? authority.token
                                     : open_for_user(context, pkcs11::Access::read_only, &selector);
  const tokens::Key key = tokens::find_one(opened.token, selector);
  const ossl::PKey half = tokens::public_key_of(opened.token, key);
  if (!ossl::same_public_key(half.get(), X509_get0_pubkey(exchange.certificate.get()))) {
    throw Error(Kind::mismatch,
                fmt::format("decrypt with the exchange key {}: it is not the key of the exchange "
                            "certificate {} that the request is encrypted to",
                            key.uri, hex(exchange.issued.serial)));
  }
  opened.key = tokens::remote_key(opened.token, key);
  return opened;
}

// Who can sign certificates, or open what comes in, must not be able to open what is archived.
void refuse_own_agents(const std::vector<recovery::UsableAgent>& agents,
                       const OpenAuthority& authority, const Exchange& exchange) {
  for (const auto& agent : agents) {
    EVP_PKEY* key = X509_get0_pubkey(agent.certificate.get());
    bool own = ossl::same_public_key(key, X509_get0_pubkey(exchange.certificate.get()));
    for (const ca::Authority& one : authority.certificates)
      own = own || ossl::same_public_key(key, X509_get0_pubkey(one.certificate.get()));
    if (!own) continue;
    throw Error(Kind::refused,
                fmt::format("archive a key: the recovery agent {} has the CA's own key",
                            x509::certificate_facts(agent.certificate.get()).subject))
        .hint("remove it with: hsmith kra remove ID");
  }
}

// The key in service may lead to an anchor by an older certificate, or by one of the key before it.
void refuse_foreign_authority(recovery::Archive& archive, const recovery::Trust& trust,
                              const OpenAuthority& authority, const ca::Authority& own) {
  for (const ca::Authority& one : authority.certificates) {
    if (one.generation == own.generation &&
        recovery::leads_to_anchor(one.certificate.get(), {}, trust, std::time(nullptr)))
      return;
  }
  throw Error(
      Kind::refused,
      fmt::format("archive keys of {} in {}: its certificate leads to no anchor of the "
                  "archive (CERT_E_ISSUERCHAINING 0x800B0107)",
                  x509::certificate_facts(own.certificate.get()).subject, archive.store->name()))
      .hint("anchors are named once, with archive init --trust");
}

// What the request says of where it was made, which nothing proves, for the log.
Json client_claims(const recovery::CmcRequest& request) {
  if (!request.client) return nullptr;
  return {{"machine", json_text(request.client->machine)},
          {"user", json_text(request.client->user)},
          {"process", json_text(request.client->process)}};
}

Outcome run(const Options& options, Context& context) {
  guard_keys(context);
  check_submission_output(options.output, context);
  const Submission asked = read_submission(options, context);
  OpenAuthority authority = open_authority(context, options.ca, DatabaseMode::change);
  const Exchange exchange = find_exchange(asked, authority);
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::change);
  if (!context.options.plan) finish_interrupted(asked, authority, context);
  const auto earlier = issued_before(asked, authority, archive);
  if (!earlier) check_free_output(options.output, context);
  const recovery::Trust trust = trust_of(context, archive);
  const ca::Authority& own = ca::authority_in_service(authority.certificates);
  const auto agents = recovery::usable_agents(archive, trust, std::time(nullptr));
  refuse_own_agents(agents, authority, exchange);
  refuse_foreign_authority(archive, trust, authority, own);
  const ca::Draft draft = ca::draft_certificate(authority.store, asked.request.request.get(),
                                                asked.profile, {}, std::time(nullptr));
  recovery::require_for_encryption(asked.request, draft.content.wishes.key_usage,
                                   draft.content.wishes.extended_key_usage, asked.name);
  for (const std::string& notice : draft.notices) context.warn(notice);
  const AuthorityToken token = open_authority_token(context, authority, pkcs11::Access::read_only);
  const ca::Signer signer = signer_of(token, own);
  const ExchangeKey opened = open_exchange_key(options, exchange, token, context);
  ossl::PKey key =
      recovery::submitted_key(asked.request, *exchange.recipient, *opened.key, asked.name);
  if (earlier) return give_again(asked, *earlier, options.output, signer, archive, context);
  const std::string subject = x509::name_text(draft.content.subject);
  if (context.options.plan) {
    return planned({{Change::Kind::change,
                     fmt::format("{}: the key of {} comes in, encrypted to {} of {} agents",
                                 archive.store->name(), subject, archive.settings.kras_per_key,
                                 agents.size())},
                    {Change::Kind::create,
                     fmt::format("certificate for {} by the profile {}, until {}", subject,
                                 options.profile, rfc3339(draft.content.not_after))},
                    {Change::Kind::create, "file " + options.output.certificate}});
  }
  const SealKey seal = open_seal_key(context, options.archive, archive.seal_certificate.get());
  const Archiving work{asked, draft, std::move(key), own, signer, trust, agents, seal.key};
  const Json facts{{"ca", options.ca},
                   {"request", asked.sha256},
                   {"exchange", hex(exchange.issued.serial)},
                   {"profile", options.profile},
                   {"subject", json_text(subject)},
                   {"archive", json_text(archive_url(archive))},
                   {"format", options.output.format},
                   {"file", json_text(absolute_output(options.output))},
                   {"client", client_claims(asked.request)}};
  return undertake(context, token.token.info, facts, [&](Undertaking& undertaking) {
    return archive_and_issue(work, options.output, authority, archive, undertaking, context);
  });
}

}  // namespace

void add_archive_submit(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_change_options(command, options->archive);
  command
      .add_option("CMC-REQUEST", options->request,
                  "Request with an archived key: CMC as Windows has it, PEM or DER")
      .required();
  command
      .add_option("--exchange-key", options->exchange_key,
                  "The CA's exchange key: label, id:HEX or PKCS#11 URI")
      .required();
  command.add_option("--ca", options->ca, "Name of the CA").required();
  command.add_option("--profile", options->profile, "email, … or one of your own").required();
  command
      .add_option("-o,--output", options->output.certificate,
                  "File for the certificate, or - for standard output")
      .required();
  command.add_option("--response", options->output.response,
                     "File for the CMC response, which request complete reads");
  command.add_option("--p7b", options->output.p7b,
                     "File for the certificate with its authority's, PKCS#7");
  command.add_option("--format", options->output.format, "pem or der (default pem)")
      .one_of({"pem", "der"});
  command.footer(
      "Examples:\n  hsmith archive submit alice.cmc --exchange-key lab-Xchg --ca lab --profile "
      "email "
      "-o alice.crt --response alice.rsp\n"
      "  hsmith archive submit alice.cmc --exchange-key lab-Xchg --ca lab --profile email -o "
      "alice.crt --plan");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
