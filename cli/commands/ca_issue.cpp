// hsmith ca issue: a certificate for a request, as far as a profile allows.
#include <ctime>
#include <fmt/format.h>

#include "cli/authority.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/findings.h"
#include "src/base/error.h"
#include "src/base/prepared_file.h"
#include "src/base/sha256.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ca/issue.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "src/x509/request.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string request;
  std::string ca;
  std::string profile;
  std::optional<int> days;
  std::string approval;
  bool same_token = false;
  std::string output;
  std::string format = "pem";
};

struct Asked {
  ossl::Request request;
  std::string sha256;  // of the request, DER
  x509::Profile profile;
};

Asked read_asked(const Options& options, const Context& context) {
  Asked asked;
  asked.request = x509::parse_request(read_file(options.request), quoted(options.request));
  asked.sha256 = sha256_hex(ossl::der_of(i2d_X509_REQ, asked.request.get()));
  asked.profile = x509::load_profile(options.profile, profile_folder(context));
  if (asked.profile.archive_key == x509::Presence::required) {
    throw Error(Kind::refused, fmt::format("issue for {}: the profile {} wants the key archived "
                                           "(CERTSRV_E_ARCHIVED_KEY_REQUIRED 0x80094804)",
                                           quoted(options.request), asked.profile.name))
        .hint(
            "its request is made by hsmith request new --archive, and goes with the key to hsmith "
            "archive "
            "submit");
  }
  return asked;
}

// Somebody who knows whose key it is must say so, with the key before their eyes.
void check_approval(const Options& options, const Asked& asked) {
  const std::string right = ca::approval_of(x509::public_key_of(asked.request.get()));
  if (lower(options.approval) == right) return;
  if (options.approval.empty() && !ca::needs_approval(asked.profile)) return;
  const std::string subject = x509::name_text(X509_REQ_get_subject_name(asked.request.get()));
  throw Error(Kind::refused,
              fmt::format("issue for the request of {}: {}, its key's SHA-256 begins with {}",
                          quoted(subject),
                          options.approval.empty()
                              ? "a recovery agent's certificate needs approval"
                              : fmt::format("{} does not approve it", quoted(options.approval)),
                          right))
      .hint(fmt::format("compare it with the applicant's (hsmith request show), then add: "
                        "--approve {}",
                        right));
}

// Who holds the authority's token must not be able to open archived keys as well.
void check_other_token(const Options& options, const Asked& asked, const AuthorityToken& token) {
  if (!ca::needs_approval(asked.profile) || options.same_token) return;
  EVP_PKEY* wanted = x509::public_key_of(asked.request.get());
  for (const tokens::Key& key : token.inventory.private_keys) {
    ossl::PKey half;
    try {
      half = tokens::public_key_of(token.inventory, key);
    } catch (const Error&) {  // a key whose public half nobody knows is not known to be the one
      continue;
    }
    if (!ossl::same_public_key(half.get(), wanted)) continue;
    throw Error(Kind::refused,
                fmt::format("issue for a recovery agent's request: its key {} is on the CA's own "
                            "token",
                            key.uri))
        .hint("make the agent's key on a token of its own; --same-token where there is only one");
  }
}

Outcome finish(const Options& options, const ca::Issued& issued, const std::string& pem) {
  Outcome outcome;
  outcome.data = issued_json(issued);
  outcome.data["ca"] = options.ca;
  outcome.data["sha256"] = sha256_hex(issued.certificate);
  if (options.output == "-") {
    outcome.data["pem"] = pem;
    outcome.text = pem;
    if (options.format == "der") outcome.raw = issued.certificate;
    return outcome;
  }
  outcome.text = fmt::format("{}: certificate {} for {}, until {}\n", printable(options.output),
                             hex(issued.serial), issued.subject, rfc3339(issued.not_after));
  return outcome;
}

// Recorded, then released: the file is whole on the disk without a name when its row is committed.
ca::Issued issue(const Options& options, const Asked& asked, const ca::Draft& draft,
                 OpenAuthority& authority, const AuthorityToken& token, Undertaking& undertaking,
                 std::string& pem, Context& context) {
  const ca::Authority& own = ca::authority_in_service(authority.certificates);
  const ossl::Certificate made = ca::make_certificate(draft.content, signer_of(token, own));
  ca::Issued issued = ca::issued_from(made.get(), own, asked.profile, std::time(nullptr));
  issued.request = asked.sha256;
  issued.approval = lower(options.approval);
  issued.file = options.output == "-"
                    ? "-"
                    : std::filesystem::absolute(options.output).lexically_normal().string();
  pem = x509::certificate_pem(made.get());
  const Bytes content = options.format == "der" ? issued.certificate : to_bytes(as_bytes(pem));
  undertaking.know("serial", hex(issued.serial));
  const bool prints = options.output == "-";  // with the command's other output
  const auto release =
      prints ? [] {} : prepare_file(options.output, content, kPublicFile, context.replace());
  Transaction transaction(authority.store);
  ca::refuse_second(authority.store, asked.sha256, std::time(nullptr),
                    ca::LastThird::may_be_renewed);
  ca::add_issued(authority.store, issued);
  transaction.commit();
  try {
    release();
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}; the certificate {} is issued and on record",
                                          error.what(), hex(issued.serial)))
        .hint(fmt::format("write it with hsmith doctor --repair, or elsewhere with: hsmith ca show "
                          "{} --ca {} -o FILE",
                          hex(issued.serial), shell_word(options.ca)))
        .unfinished();
  }
  return issued;
}

Outcome run(const Options& options, Context& context) {
  if (options.output == "-" && options.format == "der" && context.options.json)
    throw Error(Kind::usage, "print a certificate in DER as JSON: that does not go together")
        .hint("name a file with -o");
  const Asked asked = read_asked(options, context);
  const std::time_t now = std::time(nullptr);
  OpenAuthority authority = open_authority(context, options.ca, DatabaseMode::change);
  ca::refuse_second(authority.store, asked.sha256, now, ca::LastThird::may_be_renewed);
  check_output(options.output, context.replace());
  check_approval(options, asked);
  const ca::Draft draft =
      ca::draft_certificate(authority.store, asked.request.get(), asked.profile, options.days, now);
  for (const std::string& notice : draft.notices) context.warn(notice);
  const AuthorityToken token = open_authority_token(context, authority, pkcs11::Access::read_only);
  check_other_token(options, asked, token);
  signer_of(token, ca::authority_in_service(authority.certificates));
  const std::string subject = x509::name_text(draft.content.subject);
  if (context.options.plan) {
    return planned({{Change::Kind::create,
                     fmt::format("certificate for {} by the profile {}, until {}", subject,
                                 options.profile, rfc3339(draft.content.not_after))},
                    {Change::Kind::create, "file " + options.output}});
  }
  const Json facts{{"ca", options.ca},           {"request", asked.sha256},
                   {"profile", options.profile}, {"subject", json_text(subject)},
                   {"format", options.format},   {"approval", lower(options.approval)}};
  return undertake(context, token.token.info, facts, [&](Undertaking& undertaking) {
    std::string pem;
    const ca::Issued issued =
        issue(options, asked, draft, authority, token, undertaking, pem, context);
    return finish(options, issued, pem);
  });
}

}  // namespace

void add_ca_issue(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("REQUEST", options->request, "Certificate request (PEM or DER)").required();
  command.add_option("--ca", options->ca, "Name of the CA").required();
  command.add_option("--profile", options->profile, "server, client, kra, … or one of your own")
      .required();
  command.add_option("--days", options->days, "Days of validity (default: the profile's)")
      .within(1, 36500);
  command.add_option("--approve", options->approval,
                     "First 16 hex digits of the key's SHA-256: for recovery agents");
  command.add_flag("--same-token", options->same_token,
                   "Allow a recovery agent's key on the CA's own token");
  command.add_option("-o,--output", options->output, "File to write, or - for standard output")
      .required();
  command.add_option("--format", options->format, "pem or der (default pem)")
      .one_of({"pem", "der"});
  command.footer(
      "Examples:\n  hsmith ca issue web.csr --ca lab --profile server -o web.crt\n"
      "  hsmith ca issue agent.csr --ca lab --profile kra --approve 0123456789abcdef -o agent.crt");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
