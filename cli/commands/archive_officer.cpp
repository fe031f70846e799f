// hsmith archive officer add|remove|list: who may export whose recovery blobs.
#include <algorithm>
#include <ctime>
#include <fmt/format.h>

#include "cli/agents.h"
#include "cli/archive_access.h"
#include "cli/commands.h"
#include "cli/officer.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::string certificate;
  std::string subjects = "*";
};

Json officer_json(X509* certificate, const std::string& subjects) {
  const auto facts = x509::certificate_facts(certificate);
  return {{"subject", json_text(facts.subject)},
          {"serial", facts.serial},
          {"not_after", rfc3339(facts.not_after)},
          {"sha256", facts.sha256},
          {"subjects", json_text(subjects)}};
}

std::vector<recovery::Officer>::iterator find(recovery::Settings& settings, const Bytes& sha256) {
  return std::find_if(settings.officers.begin(), settings.officers.end(),
                      [&](const auto& officer) { return equal(officer.certificate, sha256); });
}

// Who retrieves does not decrypt; who was removed from the agents still decrypts what is there.
// Agents have RSA keys: whose key is EC is none, whatever the archive lost.
void refuse_agent(recovery::Archive& archive, X509* certificate) {
  if (EVP_PKEY_is_a(x509::public_key_of(certificate), "EC") == 1) return;
  const std::string subject = x509::certificate_facts(certificate).subject;
  std::vector<std::string> problems;
  for (const Bytes& agent : agents_ever(archive, problems)) {
    const auto its = recovery::agent_certificate(archive, agent);
    if (!its.certificate) {
      problems.push_back(its.problem);
      continue;
    }
    if (!ossl::same_public_key(x509::public_key_of(certificate),
                               x509::public_key_of(its.certificate.get()))) {
      continue;
    }
    throw Error(Kind::refused,
                fmt::format("add the officer {}: the key is an agent's, who opens keys of this "
                            "archive, and nobody may be both (CERTSRV_E_ROLECONFLICT 0x80094008)",
                            subject));
  }
  if (problems.empty()) return;
  throw Error(Kind::mismatch,
              fmt::format("add the officer {}: who the agents of every key are is not known: {}",
                          subject, problems.front()))
      .hint(
          "a certificate of an EC key can be added, which is no agent's; look at all of it with: "
          "hsmith archive verify");
}

Outcome add(const Options& options, Context& context) {
  const auto certificate =
      x509::read_certificate(read_file(options.certificate), quoted(options.certificate));
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::change);
  recovery::ArchiveChange change;
  change.settings = archive.settings;
  change.objects.push_back(x509::certificate_der(certificate.get()));
  const Bytes sha256 = recovery::sha256_of(change.objects.back());
  if (find(*change.settings, sha256) != change.settings->officers.end())
    throw Error(Kind::exists, fmt::format("add the officer {}: is one already",
                                          x509::certificate_facts(certificate.get()).subject));
  refuse_agent(archive, certificate.get());
  refuse_two_roles(archive.settings, certificate.get(), archive.seal_certificate.get());
  refuse_no_signer("add an officer", certificate.get());
  refuse_revoked("add an officer", certificate.get(), trust_of(context, archive));
  change.settings->officers.push_back({sha256, options.subjects});
  if (context.options.plan) {
    return planned({{Change::Kind::change,
                     fmt::format("{}: officer {} comes in", archive.store->name(), hex(sha256))}});
  }
  change_settings(context, options.archive, archive, std::move(change),
                  {{"officer", hex(sha256)}, {"subjects", json_text(options.subjects)}});
  Outcome outcome;
  outcome.data = officer_json(certificate.get(), options.subjects);
  outcome.text =
      fmt::format("{}: officer for {}\n", x509::certificate_facts(certificate.get()).subject,
                  printable(options.subjects));
  return outcome;
}

Outcome remove(const Options& options, Context& context) {
  require_named_archive(context, options.archive);
  const auto certificate =
      x509::read_certificate(read_file(options.certificate), quoted(options.certificate));
  const Bytes sha256 = recovery::sha256_of(x509::certificate_der(certificate.get()));
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::change);
  recovery::ArchiveChange change;
  change.settings = archive.settings;
  const auto there = find(*change.settings, sha256);
  const std::string subject = x509::certificate_facts(certificate.get()).subject;
  if (there == change.settings->officers.end())
    throw Error(Kind::not_found, fmt::format("remove the officer {}: is none", subject));
  change.settings->officers.erase(there);
  const std::vector<Change> changes{
      {Change::Kind::destroy, fmt::format("officer {} of {}", subject, archive.store->name())}};
  if (context.options.plan) return planned(changes);
  confirm(context, changes);
  change_settings(context, options.archive, archive, std::move(change), {{"officer", hex(sha256)}});
  Outcome outcome;
  outcome.data = {{"sha256", hex(sha256)}};
  outcome.text = fmt::format("{}: no longer an officer\n", subject);
  return outcome;
}

// "revoked", as refuse_revoked() has it, "expired", "valid".
std::string state_of(X509* officer, const recovery::Trust& trust) {
  if (revocation_of(officer, trust)) return "revoked";
  return x509::certificate_facts(officer).not_after < std::time(nullptr) ? "expired" : "valid";
}

Outcome list(const Options& options, Context& context) {
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  const recovery::Trust trust = trust_of(context, archive);
  Outcome outcome;
  outcome.data["officers"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const auto& officer : archive.settings.officers) {
    const auto certificate = recovery::checked_certificate(archive, officer.certificate);
    const std::string state = state_of(certificate.get(), trust);
    outcome.data["officers"].push_back(officer_json(certificate.get(), officer.subjects));
    outcome.data["officers"].back()["state"] = state;
    const auto facts = x509::certificate_facts(certificate.get());
    rows.push_back({facts.subject, facts.serial, state, rfc3339(facts.not_after),
                    printable(officer.subjects)});
  }
  outcome.text = table({"SUBJECT", "SERIAL", "STATE", "UNTIL", "FOR"}, rows);
  return outcome;
}

using Run = Outcome (*)(const Options&, Context&);

void add_verb(Arguments& officer, Context& context, const char* name, const char* about,
              const char* examples, Run run) {
  auto options = std::make_shared<Options>();
  Arguments verb = officer.add_verb(name, about);
  if (std::string_view(name) == "list") {
    add_archive_option(verb, options->archive);
  } else {
    add_archive_change_options(verb, options->archive);
    verb.add_option("CERT", options->certificate, "The officer's certificate, a file").required();
  }
  if (std::string_view(name) == "add")
    verb.add_option("--subjects", options->subjects,
                    "Whose keys: a pattern for the subject, '*,OU=Sales,*' (default all)");
  verb.footer(examples);
  verb.callback([options, name, run, &context] {
    context.command += std::string(" ") + name;
    context.run = [options, run, &context] { return run(*options, context); };
  });
}

}  // namespace

void add_archive_officer(Arguments& command, Context& context) {
  add_verb(command, context, "add", "Add an officer",
           "Examples:\n  hsmith archive officer add officer.crt\n"
           "  hsmith archive officer add sales.crt --subjects '*OU=Sales*'",
           add);
  add_verb(command, context, "remove", "Remove an officer",
           "Examples:\n  hsmith archive officer remove officer.crt --archive sqlite:/srv/keys.db\n"
           "  hsmith archive officer remove old.crt --archive sqlite:/srv/keys.db --yes",
           remove);
  add_verb(command, context, "list", "List the officers",
           "Examples:\n  hsmith archive officer list\n  hsmith archive officer list --json", list);
  command.footer(
      "Examples:\n  hsmith archive officer add officer.crt\n  hsmith archive officer list");
}

}  // namespace hsmith::cli
