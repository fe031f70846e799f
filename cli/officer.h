// Officers: at the archive whose keys they may export, at an agent's place whose files are taken.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/context.h"
#include "src/recovery/agents.h"
#include "src/recovery/archive.h"
#include "src/recovery/signed_file.h"
#include "tokens/keys.h"

namespace hsmith::cli {

// An officer's key on its token, with the certificate that is in service for it.
struct OfficerKey {
  tokens::OpenToken token;
  std::shared_ptr<ossl::RemoteKey> key;
  ossl::Certificate certificate;

  recovery::FileSigner signer() const { return {key, certificate.get()}; }
};
OfficerKey open_officer(Context& context, const std::string& name);

// Which officer of the archive a certificate is; throws refused when it is none, or revoked by one
// of the lists.
const recovery::Officer& officer_of(const recovery::Archive& archive, const recovery::Trust& trust,
                                    X509* certificate);
// When and why a list revokes an officer's certificate, be the list out of date: what it revoked
// stays so until a newer one takes a hold off.
std::optional<std::string> revocation_of(X509* officer, const recovery::Trust& trust);
// Throws refused for one that is revoked. `doing` is what was tried.
void refuse_revoked(const std::string& doing, X509* officer, const recovery::Trust& trust);
// Throws refused for a certificate that nobody signs files by: an authority's, or one whose key
// usage has neither digitalSignature nor nonRepudiation.
void refuse_no_signer(const std::string& doing, X509* officer);
// Throws refused where the officer has the seal key, and the settings separate the roles.
void refuse_two_roles(const recovery::Settings& settings, X509* officer, X509* seal);
// Whether the officer's pattern fits the user's subject as it is printed; a comma and a plus sign
// inside a value count as \2C and \2B.
bool may_export(const recovery::Officer& officer, X509* user);

// At an agent's place: --officer-cert, and what the configuration has.
void add_officer_certificates(Arguments& command, std::vector<std::string>& files);
// Throws refused when no officer is named.
std::vector<ossl::Certificate> trusted_officers(const std::vector<std::string>& files,
                                                const Context& context);
// Throws refused unless the certificate by which something was signed is one of them.
void require_officer(X509* certificate, const std::string& signer,
                     const std::vector<ossl::Certificate>& officers, const std::string& file);

}  // namespace hsmith::cli
