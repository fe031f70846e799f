// hsmith archive get: a key's recovery blob, signed by an officer.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <set>

#include "cli/archive_search.h"
#include "cli/challenges.h"
#include "cli/commands.h"
#include "cli/officer.h"
#include "cli/run_files.h"
#include "cli/serial_names.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/blob.h"
#include "src/x509/certificate.h"
#include "src/x509/crl.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  SearchOptions search;
  std::string output;
  std::string out_dir;
  std::string officer;
  std::string reason;
  bool all = false;
};

void check_subject(const recovery::Officer& officer, const Found& found) {
  if (may_export(officer, found.certificate.get())) return;
  throw Error(Kind::refused,
              fmt::format("export the key of {}: the officer may export the keys of {} only "
                          "(CERTSRV_E_RESTRICTEDOFFICER 0x80094009)",
                          x509::certificate_facts(found.certificate.get()).subject,
                          quoted(officer.subjects)));
}

// What the lists of its issuer say of a certificate.
struct Revocation {
  bool current = false;      // revoked for good by a list that is not out of date
  bool compromised = false;  // because somebody else may have the key
};

bool is_current(X509_CRL* crl, std::time_t now) {
  const x509::CrlFacts facts = x509::crl_facts(crl);
  return facts.this_update <= now && facts.next_update && *facts.next_update > now;
}

// A list in the issuer's name that says that the key is compromised counts too where the archive
// lost certificates of which one may be the issuer's, and where nobody that is known here signed
// the list: who signed it was known where the archive took it.
Revocation revocation_of(recovery::Archive& archive, const recovery::Trust& trust,
                         const Found& found, std::time_t now) {
  X509* user = found.certificate.get();
  recovery::KnownCertificates issuers = recovery::known_certificates(archive, found.row.chain);
  const bool lost_some = !issuers.problems.empty() || !trust.problems.empty();
  for (const auto& anchor : trust.anchors)
    issuers.certificates.push_back(ossl::share(anchor.get()));
  for (const auto& link : trust.untrusted) issuers.certificates.push_back(ossl::share(link.get()));
  const auto any_issuer = [&](const auto& is_it) {
    return std::any_of(issuers.certificates.begin(), issuers.certificates.end(),
                       [&](const auto& issuer) { return is_it(issuer.get()); });
  };
  Revocation revocation;
  for (const auto& crl : trust.crls) {
    const auto revoked = x509::revocation_in(crl.get(), user);
    if (!revoked) continue;
    const auto signed_it = [&](X509* issuer) { return x509::signed_crl(crl.get(), issuer); };
    const bool is_issuers = any_issuer([&](X509* issuer) {
      return X509_check_issued(issuer, user) == X509_V_OK && signed_it(issuer);
    });
    const bool for_good = revoked->find("certificateHold") == std::string::npos;
    const bool is_compromise = revoked->find("Compromise") != std::string::npos;
    revocation.current |= is_issuers && for_good && is_current(crl.get(), now);
    const bool is_unknown = lost_some || !any_issuer(signed_it);
    revocation.compromised |= (is_issuers || is_unknown) && is_compromise;
  }
  return revocation;
}

// So that nobody goes on using a key that others have: the white paper's practice. A certificate
// that has ended needs no revocation, and drops out of the lists.
void require_revoked(const recovery::Archive& archive, const Revocation& revocation,
                     const Found& found, std::time_t now) {
  const auto facts = x509::certificate_facts(found.certificate.get());
  if (!archive.settings.require_revoked || revocation.current || facts.not_after < now) return;
  throw Error(Kind::refused, fmt::format("export the key of {}, serial {}: its certificate is not "
                                         "revoked by a current list, and the archive asks for that",
                                         facts.subject, facts.serial))
      .hint("have it revoked, and bring the new list in: hsmith archive set crl FILE");
}

// A compromised key is never used again; old data may have to be read with it. The numbers of those
// that are.
std::set<std::int64_t> check_revocation(const Options& options, Context& context,
                                        recovery::Archive& archive, const recovery::Trust& trust,
                                        const std::vector<Found>& found) {
  const std::time_t now = std::time(nullptr);
  std::set<std::int64_t> compromised;
  for (const Found& one : found) {
    const Revocation revocation = revocation_of(archive, trust, one, now);
    require_revoked(archive, revocation, one, now);
    if (!revocation.compromised) continue;
    const auto facts = x509::certificate_facts(one.certificate.get());
    const std::string what = fmt::format("the key of {}, serial {}", facts.subject, facts.serial);
    if (options.reason.empty()) {
      throw Error(
          Kind::refused,
          fmt::format("export {}: it is revoked as compromised, and must not be used again", what))
          .hint("to read old data, say why with --reason");
    }
    context.warn(what + " is revoked as compromised: nothing new may be encrypted to it");
    compromised.insert(one.row.id);
  }
  return compromised;
}

// The file of each key.
std::vector<std::string> outputs_of(const Options& options, const std::vector<Found>& found) {
  if (!options.all) return {options.output};
  std::vector<X509*> certificates;
  for (const Found& one : found) certificates.push_back(one.certificate.get());
  std::vector<std::string> outputs = serial_names(certificates);
  for (std::string& output : outputs)
    output = (std::filesystem::path(options.out_dir) / fmt::format("{}.rec", output)).string();
  return outputs;
}

void check_options(const Options& options) {
  if (options.all != !options.out_dir.empty() || options.all == !options.output.empty()) {
    throw Error(Kind::usage, "archive get: either -o FILE for one key, or --all --out-dir FOLDER");
  }
  if (options.output == "-") throw Error(Kind::usage, "archive get -o -: name a file");
}

// Signs and writes one key's blob. It is in the audit log before it is in the file.
void export_key(const Options& options, Context& context, recovery::Archive& archive,
                const Found& found, bool is_compromised, const OfficerKey& officer,
                const std::string& file, RunFiles& files) {
  const Json entry{{"key", found.row.id},
                   {"certificate", x509::certificate_sha256(found.certificate.get())},
                   {"officer", x509::certificate_sha256(officer.certificate.get())},
                   {"reason", json_text(options.reason)},
                   {"file", json_text(file)}};
  in_audit(context, archive.store->name(), entry, [&] {
    const std::string reason = is_compromised ? options.reason : "";
    const recovery::MadeBlob made =
        recovery::make_blob(archive, found.row, reason, officer.signer());
    keep_challenge(context, made.blob, made.challenge, {found.row.certificate, found.row.agents});
    files.write({{file, made.blob}});
  });
}

Outcome run(const Options& options, Context& context) {
  check_options(options);
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  Outcome outcome;
  std::vector<Found> found;
  if (options.all) found = search_archive(archive, options.search, outcome.failures);
  if (found.empty()) found.push_back(find_one_key(archive, options.search));
  RunFiles files(context);
  const std::vector<std::string> outputs = outputs_of(options, found);
  const bool makes_folder = options.all && !std::filesystem::exists(options.out_dir);
  if (!makes_folder)
    for (const std::string& file : outputs) check_output(file, files.replace(file));
  const recovery::Trust trust = trust_of(context, archive);
  const auto compromised = check_revocation(options, context, archive, trust, found);
  warn_of_missing_agents(context, archive, found);
  warn_of_missing_issuers(context, archive, found);
  const OfficerKey signer = open_officer(context, options.officer);
  const auto& officer = officer_of(archive, trust, signer.certificate.get());
  for (const Found& one : found) check_subject(officer, one);
  outcome.data["blobs"] = Json::array();
  std::vector<Change> changes;
  for (const std::string& file : outputs) changes.push_back({Change::Kind::create, file});
  if (context.options.plan) {
    Outcome plan = planned(changes);
    plan.failures = std::move(outcome.failures);
    return plan;
  }
  if (makes_folder) make_private_folder(options.out_dir);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const bool compromised_one = compromised.contains(found[i].row.id);
    export_key(options, context, archive, found[i], compromised_one, signer, outputs[i], files);
    Json json = found_json(archive, found[i]);
    json["file"] = json_text(outputs[i]);
    outcome.data["blobs"].push_back(std::move(json));
    outcome.text += fmt::format("{}: {}\n", printable(outputs[i]), found_line(found[i]));
  }
  files.done();
  remember_what_was_read(context, archive);
  return outcome;
}

}  // namespace

void add_archive_get(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_option(command, options->archive);
  add_search_options(command, options->search);
  command.add_option("-o,--output", options->output, "File to write (.rec)");
  command.add_option("--out-dir", options->out_dir,
                     "With --all: folder for one blob each; made where it is not there");
  command.add_flag("--all", options->all, "All keys that match");
  command.add_option("--officer", options->officer, "The officer's key, on its token").required();
  command.add_option("--reason", options->reason, "Why: goes into the audit log");
  command.footer(
      "Examples:\n  hsmith archive get alice@example.com -o alice.rec --officer officer --reason "
      "'card lost, ticket 4711'\n"
      "  hsmith archive get alice@example.com --all --out-dir alice --officer officer");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
