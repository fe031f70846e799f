// Certificates on a token: put beside the key that they belong to.
#pragma once

#include <string>
#include <vector>

#include "tokens/keys.h"

namespace hsmith::tokens {

// Exactly one private key whose public half the certificate certifies, proved where that is
// doubtful (matching.h); mismatch (not_found among keys is a mismatch of the input) when there is
// none here, ambiguous when several copies are.
const Key& key_of_certificate(const OpenToken& token, const Inventory& inventory, X509* certificate,
                              const std::string& name);

// The certificate that is in service for a key: the only one on the token with its public key, or
// of several the one with the key's own label. Throws not_found, ambiguous with URIs.
TokenCertificate certificate_in_service(const Inventory& inventory, const Key& key);

// True of a certificate that the token itself put beside a new key, so that it shows the key: it
// certifies nothing, and makes room for a real one.
bool is_placeholder(const OpenToken& token, const TokenCertificate& certificate);

// True when the certificate has the key's id and label; where labels are the token's own, the id.
bool is_beside(const OpenToken& token, const TokenCertificate& certificate, const Key& key);

// Throws login_failed when only the security officer puts certificates on this token.
void check_may_install(const OpenToken& token);

enum class Installed { now, before };

// Puts the certificate on the token with the key's label and id and reads it back byte for byte.
// A certificate that is there already changes nothing. Throws exists when the token refuses a
// second certificate of the key.
Installed install(const OpenToken& token, const Inventory& inventory, const Key& key,
                  X509* certificate);

// The same for a certificate without a key here, with a label and an id of its own. Throws
// token_full when the token has no room.
Installed install_beside_no_key(const OpenToken& token, const Inventory& inventory,
                                const std::string& label, ByteView id, X509* certificate);

// The certificate that the selector names, as other objects or as sha256:HEX: exactly one, or
// not_found / ambiguous with URIs, and with fingerprints where several have one URI.
TokenCertificate find_one_certificate(const OpenToken& token, const Selector& selector);

// Deletes it and looks that it is gone.
void destroy(const OpenToken& token, const TokenCertificate& certificate);

}  // namespace hsmith::tokens
