// Certificates of authorities that are kept for chains: on the token, or in the state folder.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "cli/context.h"
#include "src/x509/certificate.h"
#include "tokens/certificates.h"

namespace hsmith::cli {

// `retired`: taken out of service by a newer one of the same authority, kept in the state folder.
enum class ChainPlace { token, state, retired };
const char* place_name(ChainPlace place);

struct ChainCertificate {
  ossl::Certificate certificate;
  x509::CertificateFacts facts;
  ChainPlace place = ChainPlace::state;
  std::string name;                 // its URI, or the path of its file
  tokens::TokenCertificate object;  // on the token; elsewhere only label and id are set
};

// Authorities' certificates whose key is not on this token. What cannot be read gives a warning.
std::vector<ChainCertificate> chain_certificates(const tokens::Inventory& inventory,
                                                 Context& context);

// All that chains can be made of: every certificate on the token and those in the state folder,
// without the retired ones.
std::vector<ossl::Certificate> chain_pool(const tokens::Inventory& inventory, Context& context);

// Exactly the one that is meant: a file that holds the same certificate, sha256:HEX (the beginning
// of its fingerprint), a label, id:HEX or a URI. Throws not_found or ambiguous with candidates.
const ChainCertificate& find_chain_certificate(const std::vector<ChainCertificate>& all,
                                               const std::string& argument);

// The label under which a certificate is put on the token: its common name, with the issuer's
// where that is among `taken`.
std::string chain_label(X509* certificate, const std::set<std::string>& taken);

struct ChainKept {
  ChainPlace place;
  std::string name;
};
// Puts it on the token and reads it back; where the token has no room, into the state folder, with
// a warning. What is there already stays as it is.
ChainKept put_chain_certificate(const tokens::OpenToken& token, X509* certificate,
                                const std::string& label, const Bytes& id, Context& context);

// Takes it from where it is.
void remove_chain_certificate(const tokens::OpenToken& token, const ChainCertificate& certificate);

// Keeps it among the retired ones, then takes it from where it is.
void retire_chain_certificate(const tokens::OpenToken& token, const ChainCertificate& certificate,
                              const Context& context);

}  // namespace hsmith::cli
