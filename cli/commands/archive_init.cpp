// hsmith archive init: an archive whose settings and changes are sealed by a token key.
#include <ctime>
#include <fmt/format.h>
#include <openssl/rand.h>

#include "cli/archive_access.h"
#include "cli/archive_crls.h"
#include "cli/commands.h"
#include "cli/officer.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/recovery/selection.h"
#include "src/x509/certificate.h"
#include "tokens/certificates.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

struct Options {
  ArchiveOptions archive;
  std::vector<std::string> trust;
  std::vector<std::string> crls;
  std::vector<std::string> officers;
  int kras_per_key = 1;
};

std::string new_id() {
  Bytes id(16);
  ossl::check(RAND_bytes(id.data(), static_cast<int>(id.size())) == 1, "name an archive");
  return hex(id);
}

recovery::ArchiveChange first_change(const Options& options, Context& context) {
  recovery::ArchiveChange change;
  recovery::Settings settings;
  settings.id = new_id();
  settings.kras_per_key = options.kras_per_key;
  const auto add = [&](const Bytes& der) {
    change.objects.push_back(der);
    return recovery::sha256_of(der);
  };
  recovery::Trust signers;
  for (const std::string& file : options.trust) {
    for (auto& certificate : x509::read_certificates(read_file(file), quoted(file))) {
      settings.anchors.push_back(add(x509::certificate_der(certificate.get())));
      signers.anchors.push_back(std::move(certificate));
    }
  }
  std::vector<ossl::Certificate> officers;
  for (const std::string& file : options.officers) {
    X509* officer =
        officers.emplace_back(x509::read_certificate(read_file(file), quoted(file))).get();
    refuse_no_signer("make an archive", officer);
    settings.officers.push_back({add(x509::certificate_der(officer)), "*"});
  }
  change.settings = std::move(settings);
  std::vector<ArchivedCrl> lists;
  for (const std::string& file : options.crls)
    lists = take_crls(file, signers, std::move(lists), change, context);
  recovery::Trust trust;  // of each authority's key the newest list
  for (ArchivedCrl& list : lists) trust.crls.push_back(std::move(list.crl));
  for (const auto& officer : officers) refuse_revoked("make an archive", officer.get(), trust);
  return change;
}

// Pins the certificate before anything is sealed. One that is pinned already must be the same.
void pin(const std::filesystem::path& file, X509* certificate) {
  if (std::filesystem::exists(file)) {
    const auto pinned = x509::read_certificate(read_file(file.string()), quoted(file.string()));
    if (x509::same_certificate(pinned.get(), certificate)) return;
    throw Error(Kind::exists, fmt::format("pin the seal certificate: {} holds another one",
                                          quoted(file.string())))
        .hint("it belongs to another archive; name a file for this one with [archive] seal_cert");
  }
  make_private_folder(file.parent_path());
  const std::string pem = x509::certificate_pem(certificate);
  write_file(file.string(), as_bytes(pem), kPublicFile, Replace::no);
}

Outcome done(const Context& context, const recovery::Archive& archive) {
  const auto pinned = seal_certificate_file(context).string();
  Outcome outcome;
  outcome.data = {
      {"archive", json_text(archive.store->name())},
      {"id", archive.settings.id},
      {"seal_certificate", json_text(pinned)},
      {"seal_certificate_sha256", x509::certificate_sha256(archive.seal_certificate.get())}};
  outcome.text = fmt::format(
      "{}: made, sealed by {}\nits certificate is pinned in {}: keep a copy elsewhere\n",
      printable(archive.store->name()),
      x509::certificate_facts(archive.seal_certificate.get()).subject, printable(pinned));
  return outcome;
}

Outcome run(const Options& options, Context& context) {
  const recovery::StorePlace place = archive_place(context, options.archive);
  if (options.kras_per_key < 1) throw Error(Kind::usage, "--kras-per-key: at least 1");
  recovery::ArchiveChange change = first_change(options, context);
  if (recovery::holds_archive(place)) {
    throw Error(Kind::exists,
                fmt::format("make the archive {}: it is there", quoted(place.name())));
  }
  const tokens::Selector selector = tokens::parse_selector(*options.archive.seal_key);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, &selector);
  const tokens::Key key = tokens::find_one(token, selector);
  const auto certificate = x509::certificate_from_der(
      tokens::certificate_in_service(tokens::take_inventory(token), key).der,
      "the seal key's certificate");
  if (context.options.plan) {
    return planned({{Change::Kind::create, "archive " + place.name()},
                    {Change::Kind::create, seal_certificate_file(context).string()}});
  }
  pin(seal_certificate_file(context), certificate.get());
  if (!recovery::store_exists(place)) recovery::create_store(place);
  recovery::Archive archive;
  archive.store = recovery::open_store(place, recovery::StoreMode::change);
  archive.seal_certificate = ossl::share(certificate.get());
  in_audit(context, archive.store->name(), {{"id", change.settings->id}}, [&] {
    const auto transaction = archive.store->change();
    transaction->set_cursor(recovery::random_cursor());
    recovery::commit_change(archive, *transaction, std::move(change),
                            tokens::remote_key(token, key), std::time(nullptr));
  });
  recovery::Archive again = open_archive(context, options.archive, recovery::StoreMode::read);
  remember_archive(context, again);
  return done(context, again);
}

}  // namespace

void add_archive_init(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  add_archive_option(command, options->archive);
  command
      .add_option("--seal-key", options->archive.seal_key,
                  "The key that seals changes; its certificate must be on its token")
      .required();
  command.add_option("--trust", options->trust, "Anchors: agents and own certificates lead to them")
      .required()
      .one_each();
  command.add_option("--crl", options->crls, "Revocation lists of their authorities").one_each();
  command.add_option("--officer-cert", options->officers, "Certificate of an officer").one_each();
  command.add_option("--kras-per-key", options->kras_per_key,
                     "How many agents can open each key (default 1)");
  command.footer(
      "Examples:\n  hsmith archive init --seal-key seal --trust ca.crt --crl ca.crl --officer-cert "
      "officer.crt\n"
      "  hsmith archive init --archive sqlite:/srv/keys.db --seal-key seal --trust ca.crt "
      "--kras-per-key 2");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
