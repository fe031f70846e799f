// hsmith archive get: a key's recovery blob, signed by an officer.
#include <filesystem>
#include <fmt/format.h>
#include <fnmatch.h>

#include "cli/archive_search.h"
#include "cli/commands.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/blob.h"
#include "src/x509/certificate.h"
#include "tokens/certificates.h"
#include "tokens/token_key.h"

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

struct Signer {
  tokens::OpenToken token;
  std::shared_ptr<ossl::RemoteKey> key;
  ossl::Certificate certificate;
};

// Which officer of the archive the token's key is.
const recovery::Officer& officer_of(const recovery::Archive& archive, X509* certificate) {
  const Bytes sha256 = recovery::sha256_of(x509::certificate_der(certificate));
  for (const auto& officer : archive.settings.officers) {
    if (equal(officer.certificate, sha256)) return officer;
  }
  throw Error(Kind::refused, fmt::format("export a key: {} is not an officer of the archive",
                                         x509::certificate_facts(certificate).subject))
      .hint("officers: hsmith archive officer list");
}

Signer open_officer(Context& context, const std::string& name) {
  const tokens::Selector selector = tokens::parse_selector(name);
  Signer signer;
  signer.token = open_for_user(context, pkcs11::Access::read_only, &selector);
  const tokens::Key key = tokens::find_one(signer.token, selector);
  signer.certificate = x509::certificate_from_der(
      tokens::certificate_in_service(tokens::take_inventory(signer.token), key).der,
      "the officer's certificate");
  signer.key = tokens::remote_key(signer.token, key);
  return signer;
}

void check_subject(const recovery::Officer& officer, const Found& found) {
  const std::string subject = x509::certificate_facts(found.certificate.get()).subject;
  if (fnmatch(officer.subjects.c_str(), subject.c_str(), FNM_CASEFOLD) == 0) return;
  throw Error(Kind::refused,
              fmt::format("export the key of {}: the officer may export the keys of {} only "
                          "(CERTSRV_E_RESTRICTEDOFFICER 0x80094009)",
                          subject, quoted(officer.subjects)));
}

std::string output_of(const Options& options, const Found& found) {
  if (!options.all) return options.output;
  const std::string serial = x509::certificate_facts(found.certificate.get()).serial;
  return (std::filesystem::path(options.out_dir) / (serial + ".rec")).string();
}

void check_options(const Options& options) {
  if (options.all != !options.out_dir.empty() || options.all == !options.output.empty()) {
    throw Error(Kind::usage, "archive get: either -o FILE for one key, or --all --out-dir FOLDER");
  }
  if (options.output == "-") throw Error(Kind::usage, "archive get -o -: name a file");
}

Outcome run(const Options& options, Context& context) {
  check_options(options);
  recovery::Archive archive = open_archive(context, options.archive, recovery::StoreMode::read);
  std::vector<Found> found;
  if (options.all) found = search_archive(archive, options.search);
  if (found.empty()) found.push_back(find_one_key(archive, options.search));
  for (const Found& one : found) check_output(output_of(options, one), context.replace());
  const Signer signer = open_officer(context, options.officer);
  const auto& officer = officer_of(archive, signer.certificate.get());
  for (const Found& one : found) check_subject(officer, one);
  Outcome outcome;
  outcome.data["blobs"] = Json::array();
  std::vector<Change> changes;
  for (const Found& one : found) changes.push_back({Change::Kind::create, output_of(options, one)});
  if (context.options.plan) return planned(changes);
  for (const Found& one : found) {
    const std::string file = output_of(options, one);
    const auto facts = x509::certificate_facts(one.certificate.get());
    const Json entry{{"key", one.row.id},
                     {"certificate", facts.sha256},
                     {"officer", x509::certificate_sha256(signer.certificate.get())},
                     {"reason", json_text(options.reason)},
                     {"file", json_text(file)}};
    in_audit(context, archive.store->name(), entry, [&] {
      const Bytes blob =
          recovery::make_blob(archive, one.row, {signer.key, signer.certificate.get()});
      write_file(file, blob, kPrivateFile, context.replace());
    });
    Json json = found_json(archive, one);
    json["file"] = json_text(file);
    outcome.data["blobs"].push_back(std::move(json));
    outcome.text += fmt::format("{}: {}\n", printable(file), found_line(one));
  }
  return outcome;
}

}  // namespace

void add_archive_get(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_option(command, options->archive);
  add_search_options(command, options->search);
  command.add_option("-o,--output", options->output, "File to write (.rec)");
  command.add_option("--out-dir", options->out_dir, "With --all: folder for one blob each");
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
