#include "src/ca/check.h"

#include <fmt/format.h>
#include <map>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ca/revoke.h"
#include "src/ca/store.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"

namespace hsmith::ca {
namespace {

[[noreturn]] void refuse(const Database& store, std::string_view cause) {
  throw Error(Kind::malformed,
              fmt::format("check the CA database {}: {}", quoted(store.path()), cause));
}

bool signed_by_one(X509* certificate, const std::vector<Authority>& authorities) {
  bool found = false;
  for (const Authority& one : authorities)
    found = found || X509_verify(certificate, X509_get0_pubkey(one.certificate.get())) == 1;
  ossl::clear_errors();
  return found;
}

void check_issued(const Database& store, const Issued& row,
                  const std::vector<Authority>& authorities) {
  const ossl::Certificate certificate = x509::certificate_from_der(row.certificate, store.path());
  const x509::CertificateFacts facts = x509::certificate_facts(certificate.get());
  if (facts.serial != hex(row.serial) || facts.key_sha256 != row.key ||
      facts.not_after != row.not_after)
    refuse(store, fmt::format("the row of {} is not that of its certificate", hex(row.serial)));
  if (!signed_by_one(certificate.get(), authorities))
    refuse(store, fmt::format("the certificate {} is not signed by this CA", hex(row.serial)));
}

}  // namespace

StoreCounts check_store(Database& store) {
  const std::string problem = store.integrity_problem();
  if (!problem.empty()) refuse(store, printable(problem));
  read_settings(store);
  const std::vector<Authority> authorities = read_authorities(store);
  StoreCounts counts;
  counts.authorities = authorities.size();
  for (const Authority& one : authorities) {
    if (!signed_by_one(one.certificate.get(), authorities))
      refuse(store, "a certificate of the authority itself does not verify");
  }
  for_each_issued(store, [&](const Issued& row) {
    check_issued(store, row, authorities);
    ++counts.issued;
  });
  counts.revoked = revoked(store).size();
  return counts;
}

}  // namespace hsmith::ca
