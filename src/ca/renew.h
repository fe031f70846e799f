// The authority's own certificates: the first, later ones, and the cross-certificates between its
// keys.
#pragma once

#include <ctime>
#include <memory>

#include "src/ca/certificate.h"
#include "src/ca/store.h"

namespace hsmith::ca {

// What is asked of an authority's certificate.
struct AuthorityWishes {
  std::vector<std::string> extended_key_usage;  // empty: every purpose
  int path_length = -1;
  std::time_t not_before = 0;
  std::time_t not_after = 0;
};

// A self-signed certificate of the key.
ossl::Certificate make_root(const X509_NAME* subject, const std::shared_ptr<ossl::RemoteKey>& key,
                            const AuthorityWishes& wishes);

// A certificate as the one before, of this key and for as many days; 0: as long as that was.
ossl::Certificate renew_root(X509* before, const std::shared_ptr<ossl::RemoteKey>& key, int days,
                             std::time_t now);

// The certificate of `subject`'s key and name by another key of the same authority (RFC 4210, 4.4):
// valid where both are.
ossl::Certificate cross_certificate(X509* subject, const Signer& signer);

}  // namespace hsmith::ca
