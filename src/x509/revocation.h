// What revocation lists say of a path, beyond and around OpenSSL's own checks (RFC 5280, 6.3).
#pragma once

#include <openssl/x509_vfy.h>
#include <span>
#include <string>

#include "src/x509/path.h"

namespace hsmith::x509 {

// True for OpenSSL's errors that leave open whether a certificate is revoked.
bool leaves_revocation_open(int error);

// What such an error, or X509_V_ERR_CERT_REVOKED, means for the certificate that OpenSSL looks at.
std::string revocation_reason(int error, X509_STORE_CTX* context);

// The lists of a verification, looked at once.
struct Lists {
  struct SetAside {
    X509_CRL* crl;
    std::string defect;  // crl_defect()
  };
  std::vector<ossl::Crl> usable;
  ossl::CrlStack stack;  // the same, as OpenSSL takes them
  std::vector<SetAside> set_aside;
};
Lists make_lists(std::span<const ossl::Crl> crls, int security_level);

// Where no list decided on a certificate of `path`, says which of its issuer was set aside.
void note_set_aside(Path& path, const Lists& lists);

// Delta lists that OpenSSL passes over: it uses one only where the certificate or the complete list
// names the place of delta lists, and never asks whether it is stale.
void check_delta_lists(Path& path, const Lists& lists, const PathOptions& options);

}  // namespace hsmith::x509
