#include "cli/authority_repair.h"

#include <fmt/format.h>

#include "cli/authority.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {
namespace {

std::string fact(const journal::Entry& entry, const char* name) {
  const auto found = entry.intent.facts.find(name);
  return found != entry.intent.facts.end() && found->is_string() ? found->get<std::string>() : "";
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
  if (issued->file != "-" && !std::filesystem::exists(issued->file)) {
    const auto certificate = x509::certificate_from_der(issued->certificate, store.path());
    const std::string pem = x509::certificate_pem(certificate.get());
    const bool der = fact(entry, "format") == "der";
    write_file(issued->file, der ? ByteView(issued->certificate) : as_bytes(pem), kPublicFile,
               Replace::no);
    return {true, fmt::format("wrote the certificate {} to {}", fact(entry, "serial"),
                              quoted(issued->file))};
  }
  return {true, fmt::format("the certificate {} is on record: hsmith ca show {} --ca {}",
                            fact(entry, "serial"), fact(entry, "serial"), printable(name))};
}

}  // namespace hsmith::cli
