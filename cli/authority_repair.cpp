#include "cli/authority_repair.h"

#include <fmt/format.h>

#include "cli/archive_access.h"
#include "cli/authority.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ca/issue.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

// Writes what is on record to where it was to go.
Repaired release_issued(const journal::Entry& entry, const ca::Issued& issued,
                        const std::string& ca) {
  const std::string serial = hex(issued.serial);
  if (issued.file != "-" && !std::filesystem::exists(issued.file)) {
    const auto certificate = x509::certificate_from_der(issued.certificate, "the CA database");
    const std::string pem = x509::certificate_pem(certificate.get());
    const bool der = fact(entry, "format") == "der";
    write_file(issued.file, der ? ByteView(issued.certificate) : as_bytes(pem), kPublicFile,
               Replace::no);
    return {true, fmt::format("wrote the certificate {} to {}", serial, quoted(issued.file))};
  }
  return {true, fmt::format("the certificate {} is on record: hsmith ca show {} --ca {}", serial,
                            serial, shell_word(ca))};
}

// The certificate of the entry as the archive has it, with its key; null when it has not.
ossl::Certificate archived_certificate(const journal::Entry& entry, Context& context) {
  const std::string sha256 = fact(entry, "certificate");
  if (sha256.empty()) return nullptr;
  ArchiveOptions where;
  where.url = fact(entry, "archive");
  recovery::Archive archive = open_archive(context, where, recovery::StoreMode::read);
  const auto hash = parse_hex(sha256);
  const auto there = hash ? recovery::archived_key(archive, *hash) : recovery::Archived{};
  if (there.damaged) {
    throw Error(Kind::mismatch,
                fmt::format("look for the key of the certificate {} in the archive {}: it is not "
                            "what was sealed",
                            sha256, archive.store->name()))
        .hint("look at all of it with: hsmith archive verify");
  }
  if (!there.row) return nullptr;
  remember_what_was_read(context, archive);  // which the interrupted run may not have done
  return recovery::checked_certificate(archive, there.row->certificate);
}

ca::Issued record_archived(const journal::Entry& entry, X509* certificate,
                           OpenAuthority& authority) {
  for (const ca::Authority& one : authority.certificates) {
    if (X509_verify(certificate, X509_get0_pubkey(one.certificate.get())) != 1) continue;
    x509::Profile profile;
    profile.name = fact(entry, "profile");
    ca::Issued issued = ca::issued_from(certificate, one, profile, entry.time);
    issued.request = fact(entry, "request");
    issued.file = fact(entry, "file");
    Transaction transaction(authority.store);
    ca::add_issued(authority.store, issued);
    transaction.commit();
    return issued;
  }
  throw Error(Kind::mismatch, fmt::format("record the archived certificate of {}: the CA {} did "
                                          "not sign it",
                                          x509::certificate_facts(certificate).subject,
                                          quoted(authority.settings.name)));
}

}  // namespace

Repaired repair_authority(const tokens::OpenToken& token, const journal::Entry& entry,
                          Context& context) {
  const std::string name = fact(entry, "ca");
  if (std::filesystem::exists(ca::store_path(context.environment.state_folder, name))) {
    settle_token(token, open_authority(context, name, DatabaseMode::change));
    return {true, fmt::format("the CA {} is whole", quoted(name))};
  }
  return repair_unused_key(token, entry, context);
}

Repaired repair_renewal(const tokens::OpenToken& token, const journal::Entry& entry,
                        Context& context) {
  const std::string name = fact(entry, "ca");
  const OpenAuthority authority = open_authority(context, name, DatabaseMode::change);
  for (const ca::Authority& one : authority.certificates) {
    const std::string key = hex(ossl::spki_of(X509_get0_pubkey(one.certificate.get())));
    if (!fact(entry, "public_key").empty() && key != fact(entry, "public_key")) continue;
    settle_token(token, authority);
    return {true, fmt::format("the CA {} is as its file says", quoted(name))};
  }
  return repair_unused_key(token, entry, context);
}

Repaired repair_issue(const journal::Entry& entry, Context& context) {
  const std::string name = fact(entry, "ca");
  const auto serial = parse_hex(fact(entry, "serial"));
  Database store = ca::open_store(context.environment.state_folder, name, DatabaseMode::read);
  const auto issued = serial ? ca::issued_with_serial(store, *serial) : std::nullopt;
  if (!issued) return {true, "nothing was issued"};
  return release_issued(entry, *issued, name);
}

Repaired repair_submission(const journal::Entry& entry, Context& context) {
  OpenAuthority authority = open_authority(context, fact(entry, "ca"), DatabaseMode::change);
  return finish_submission(entry, authority, context);
}

Repaired finish_submission(const journal::Entry& entry, OpenAuthority& authority,
                           Context& context) {
  const auto serial = parse_hex(fact(entry, "serial"));
  auto issued = serial ? ca::issued_with_serial(authority.store, *serial) : std::nullopt;
  if (!issued) {
    const auto certificate = archived_certificate(entry, context);
    if (!certificate) return {true, "nothing was archived and nothing issued"};
    issued = record_archived(entry, certificate.get(), authority);
  }
  return release_issued(entry, *issued, authority.settings.name);
}

}  // namespace hsmith::cli
