#include "cli/installation.h"

#include <ctime>
#include <fmt/format.h>

#include "cli/arguments.h"
#include "cli/certificate_argument.h"
#include "cli/changes.h"
#include "cli/cmc_response.h"
#include "cli/key_output.h"
#include "cli/pending.h"
#include "cli/renewal.h"
#include "cli/trust.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/path.h"
#include "src/x509/renewal.h"
#include "tokens/certificates.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

using ossl::Certificate;

// A certificate that shall go on the token, by the name that messages give it.
struct Leaf {
  Certificate certificate;
  x509::CertificateFacts facts;
  std::string name;
};

struct Inputs {
  std::vector<Leaf> leaves;
  std::vector<Certificate> chain;  // from --chain, and CA certificates among the files
};

Inputs read_inputs(const InstallOptions& options, Context& context) {
  Inputs inputs;
  std::string authority;
  for (const std::string& file : options.files) {
    const Bytes content = read_file(file);
    auto certificates = certificates_of_response(content, quoted(file), context);
    if (!certificates) certificates = x509::read_certificates(content, quoted(file));
    for (Certificate& certificate : *certificates) {
      x509::CertificateFacts facts = x509::certificate_facts(certificate.get());
      if (facts.is_ca) {
        authority = facts.subject;
        inputs.chain.push_back(std::move(certificate));
      } else {
        inputs.leaves.push_back({std::move(certificate), std::move(facts), quoted(file)});
      }
    }
  }
  for (Certificate& certificate : read_certificate_files(options.chain))
    inputs.chain.push_back(std::move(certificate));
  if (inputs.leaves.empty()) {
    throw Error(
        Kind::refused,
        fmt::format("install {}: this is the certificate of an authority, not of a key here",
                    authority))
        .hint("give the certificate that the authority issued; its own goes with --chain");
  }
  if (!authority.empty())
    context.tell(
        "certificates of authorities among the files serve to verify and are not installed");
  return inputs;
}

std::string first_problem(const x509::Verdict& verdict) {
  const auto& problems = verdict.problems.empty() ? verdict.unchecked : verdict.problems;
  if (problems.empty()) return "no path was found";
  return problems.front().subject + ": " + problems.front().reason;
}

// With --trust the whole path must hold, and with --crl none of it be revoked. Without them the
// given chain must be the certificate's own: each of its certificates may then end the path.
void check_chain(const Leaf& leaf, const Inputs& inputs, const InstallOptions& options,
                 const Context& context) {
  const std::string doing = "install the certificate of " + leaf.facts.subject;
  if (!options.trust.empty() || !options.crls.empty()) {
    TrustOptions trusted;
    if (!options.trust.empty()) trusted.trust = {options.trust};
    trusted.crls = options.crls;
    Trust trust = read_trust(trusted, context);
    for (const Certificate& one : inputs.chain) trust.untrusted.push_back(ossl::share(one.get()));
    const x509::Verdict verdict = verify(leaf.certificate.get(), trust, {});
    if (verdict.ok) return;
    throw Error(Kind::refused,
                fmt::format("{}: it does not verify with {}: {}", doing,
                            options.trust.empty() ? "the configured roots" : quoted(options.trust),
                            first_problem(verdict)));
  }
  if (options.chain.empty()) return;
  x509::PathOptions path;
  path.time = std::time(nullptr);
  path.partial_chain = true;
  const x509::Verdict verdict =
      x509::verify_path(leaf.certificate.get(), inputs.chain, inputs.chain, path);
  if (verdict.ok) return;
  throw Error(Kind::mismatch, fmt::format("{}: it does not verify with the given chain: {}", doing,
                                          first_problem(verdict)));
}

void compare_with_request(const Leaf& leaf, Context& context) {
  const auto kept = pending_request(context.environment.state_folder,
                                    x509::public_key_of(leaf.certificate.get()));
  if (!kept) return;
  for (const std::string& line :
       x509::differences_from_request(leaf.certificate.get(), kept->request.get()))
    context.warn(line);
}

struct Job {
  const Leaf* leaf;
  const tokens::Key* key;
  bool there = false;
  std::optional<Succession> succession;
  // The label that the certificate has in the end.
  const std::string& label() const { return succession ? succession->name : key->label; }
};

// A second copy would make every name of it ambiguous.
void refuse_copy(const Leaf& leaf, const tokens::TokenCertificate& there) {
  throw Error(Kind::exists, fmt::format("install the certificate of {}: it is there, but under "
                                        "another label or id than its key",
                                        leaf.facts.subject))
      .hint("link it with: hsmith cert repair")
      .candidates({there.uri});
}

// With the user logged in the private key proves that it fits, but for a certificate that is there
// beside a key that shows its public half.
Job prepare(const tokens::OpenToken& token, const tokens::Inventory& inventory, const Leaf& leaf) {
  X509* certificate = leaf.certificate.get();
  const tokens::Key& key = tokens::key_of_certificate(token, inventory, certificate, leaf.name);
  Job job{
      .leaf = &leaf, .key = &key, .succession = succession_of(token, inventory, key, certificate)};
  const Bytes der = x509::certificate_der(certificate);
  for (const auto& there : tokens::objects_of(inventory, key).certificates) {
    if (there.der != der) continue;
    if (!tokens::is_beside(token, there, key)) refuse_copy(leaf, there);
    job.there = true;
  }
  if ((!job.there || !key.public_key) && token.login == tokens::Login::user &&
      !tokens::holds_private_half(token, key, x509::public_key_of(certificate))) {
    throw Error(Kind::mismatch,
                fmt::format("install the certificate of {}: the private key {} does not fit it",
                            leaf.facts.subject, key.uri));
  }
  return job;
}

// The security officer cannot use the keys: before, the user proves that they fit.
void prove_as_user(const Inputs& inputs, Context& context, const tokens::Reach& way) {
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, way);
  const tokens::Inventory inventory = tokens::take_inventory(token);
  for (const Leaf& leaf : inputs.leaves) prepare(token, inventory, leaf);
}

void install_one(const tokens::OpenToken& token, const tokens::Inventory& inventory, const Job& job,
                 Context& context) {
  X509* certificate = job.leaf->certificate.get();
  Json facts{{"label", json_text(job.key->label)},
             {"id", hex(job.key->id)},
             {"certificate", hex(x509::certificate_der(certificate))}};
  if (token.login == tokens::Login::so) facts["login_as"] = "so";
  if (job.succession) facts["succession"] = succession_facts(*job.succession);
  undertake(context, token.info, facts, [&](Undertaking&) {
    const auto installed = tokens::install(token, inventory, *job.key, certificate);
    if (job.succession) succeed(token, *job.succession);
    return installed;
  });
}

// False for a waiting pair whose pair in service is gone: it is given the name only.
bool replaces(const Succession& succession) {
  return !succession.old_key.empty() || !succession.old_certificate.empty();
}

}  // namespace

void check_usable(X509* certificate, const x509::CertificateFacts& facts) {
  constexpr std::time_t kClocksDiffer = 300;
  const std::string doing = fmt::format("install the certificate of {}", facts.subject);
  const std::time_t now = std::time(nullptr);
  if (facts.not_after < now) {
    throw Error(Kind::refused,
                fmt::format("{}: it expired on {}", doing, rfc3339(facts.not_after)));
  }
  if (facts.not_before > now + kClocksDiffer) {
    throw Error(Kind::refused,
                fmt::format("{}: it is not valid before {}", doing, rfc3339(facts.not_before)))
        .hint("install it when that time has come; hsmith doctor looks at the clock");
  }
  const auto unknown = x509::unknown_critical_extensions(certificate);
  if (!unknown.empty()) {
    throw Error(Kind::refused, fmt::format("{}: it has a critical extension that programs do not "
                                           "know ({}), so none accepts it",
                                           doing, unknown.front()))
        .hint("1.3.6.1.4.1.11129.2.4.3 marks a pre-certificate: ask for the certificate itself");
  }
}

void add_install_options(Arguments& command, InstallOptions& options) {
  command
      .add_option("FILE", options.files,
                  "Certificates: PEM, DER, PKCS#7; a CMC response; - is standard input")
      .required();
  command
      .add_option("--chain", options.chain, "Certificates of the authorities; they serve to verify")
      .one_each();
  command.add_option("--trust", options.trust, "File of trusted roots: the whole path must verify");
  command.add_option("--crl", options.crls, "Revocation lists, which must decide on the whole path")
      .one_each();
  command
      .add_option("--login-as", options.login_as,
                  "Who writes it: user, or so, after the user proved the key (default user)")
      .one_of({"user", "so"});
}

Outcome install_certificates(const InstallOptions& options, Context& context) {
  const Inputs inputs = read_inputs(options, context);
  for (const Leaf& leaf : inputs.leaves) {
    check_usable(leaf.certificate.get(), leaf.facts);
    if (const auto problem = x509::too_long_lifetime(leaf.facts))
      context.warn(fmt::format("the certificate of {}: {}", leaf.facts.subject, *problem));
    check_chain(leaf, inputs, options, context);
  }
  const tokens::Reach way = reach(context);
  if (options.login_as == "so") prove_as_user(inputs, context, way);
  const tokens::OpenToken token = open_as(options.login_as, context, way);
  const auto lock = tokens::lock_token(way, token.info);
  const tokens::Inventory inventory = inventory_for_change(token, context);
  std::vector<Job> jobs;
  std::vector<Change> changes;
  for (const Leaf& leaf : inputs.leaves) {
    jobs.push_back(prepare(token, inventory, leaf));
    compare_with_request(leaf, context);
    const Job& job = jobs.back();
    if (!job.there)
      changes.push_back({Change::Kind::create, fmt::format("certificate of {} beside {}",
                                                           leaf.facts.subject, job.key->uri)});
    if (!job.there && tokens::token_quirks(token.info).has_places()) {
      for (const auto& old : tokens::objects_of(inventory, *job.key).certificates)
        changes.push_back({Change::Kind::destroy, old.uri});
    }
    if (job.succession) {
      for (Change& change : changes_of(*job.succession)) changes.push_back(std::move(change));
    }
  }
  if (!changes.empty()) tokens::check_may_install(token);
  if (context.options.plan) return planned(changes);
  Outcome outcome;
  outcome.data["certificates"] = Json::array();
  for (const Job& job : jobs) {
    if (!job.there || job.succession) install_one(token, inventory, job, context);
    // What cannot be read may be left of it.
    if (inventory.broken.empty()) end_earlier(context, token.info, job.leaf->certificate.get());
    tokens::while_doing(
        fmt::format("install the certificate of {}: it is done, but its request is still kept",
                    job.key->uri),
        [&] {
          return forget_request(context.environment.state_folder,
                                x509::public_key_of(job.leaf->certificate.get()));
        });
    const std::string uri =
        tokens::object_uri(token, job.label(), job.key->id, tokens::ObjectType::cert);
    Json json{{"uri", uri},
              {"subject", json_text(job.leaf->facts.subject)},
              {"installed", !job.there},
              {"expires", rfc3339(job.leaf->facts.not_after)}};
    outcome.text += fmt::format("{} {}\n", uri, job.there ? "is there already" : "is installed");
    if (job.succession && replaces(*job.succession)) {
      const std::string replaced = replaced_label(job.succession->name);
      json["replaced"] = json_text(replaced);
      outcome.text += fmt::format(
          "what it replaces is {} now; when nobody uses it any more: hsmith cert retire {} --token "
          "{}\n",
          quoted(replaced), shell_word(job.succession->name), shell_word(token.info.label));
    }
    outcome.data["certificates"].push_back(std::move(json));
  }
  return outcome;
}

}  // namespace hsmith::cli
