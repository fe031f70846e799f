#include "cli/cmc_response.h"

#include <fmt/format.h>

#include "cli/pending.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/recovery/cmc.h"
#include "src/x509/certificate.h"
#include "src/x509/input.h"

namespace hsmith::cli {
namespace {

// RFC 5272, 6.1.3.
void refuse_unless_issued(const recovery::CmcResponse& response, const std::string& name) {
  if (response.status == 0 && response.issued) return;
  const char* what = response.status == 3   ? "the request is pending"
                     : response.status == 2 ? "the request was denied"
                                            : "nothing was issued";
  throw Error(Kind::refused,
              fmt::format("install the certificate in {}: {} says: {} ({}{}{})", name,
                          response.signer, what, response.status,
                          response.status_text.empty() ? "" : " ", response.status_text));
}

// What [MS-WCCE] 3.1.1.4.3.4.1.2 has a client look at.
void check_archival(const recovery::CmcResponse& response, const std::string& name,
                    const Context& context) {
  const auto waits = pending_archival(context.environment.state_folder,
                                      x509::public_key_of(response.issued.get()));
  if (!waits) return;
  const auto refuse = [&](const char* cause) {
    throw Error(Kind::mismatch, fmt::format("install the certificate in {}: {}", name, cause))
        .hint("ask the authority; its certificate alone can be installed too");
  };
  if (!ossl::same_public_key(x509::public_key_of(response.authority.get()),
                             x509::public_key_of(waits->authority.get())))
    refuse("it is not signed by the authority that the private key was sent to");
  if (response.archived_key_hash.empty())
    refuse("it does not say that the private key is archived");
  if (!equal(response.archived_key_hash, waits->hash))
    refuse("the archived key that it names is not the one that was sent");
}

}  // namespace

std::optional<std::vector<ossl::Certificate>> certificates_of_response(const Bytes& file,
                                                                       const std::string& name,
                                                                       const Context& context) {
  if (x509::looks_like_pem(file) && x509::pem_blocks(file, name).size() != 1) return std::nullopt;
  const Bytes ber = recovery::cmc_of(file, name);
  if (!recovery::is_cmc_response(ber)) return std::nullopt;
  const recovery::CmcResponse response = recovery::read_cmc_response(ber, name);
  refuse_unless_issued(response, name);
  check_archival(response, name, context);
  std::vector<ossl::Certificate> certificates;
  certificates.push_back(ossl::share(response.issued.get()));
  for (const auto& one : response.certificates) {
    if (x509::certificate_facts(one.get()).is_ca) certificates.push_back(ossl::share(one.get()));
  }
  return certificates;
}

}  // namespace hsmith::cli
