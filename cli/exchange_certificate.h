// The certificate that a private key is encrypted to on its way to an archive.
#pragma once

#include <string>

#include "cli/context.h"
#include "src/ossl/handles.h"

namespace hsmith::cli {

struct ExchangeCertificate {
  ossl::Certificate exchange;
  ossl::Certificate authority;
};

// Reads both files and checks that nobody else than this authority can open what is encrypted to
// it: signed by the very key of the authority's certificate, purpose 1.3.6.1.4.1.311.21.5, key
// usage, an RSA key of 2048 bits or more, valid now, no authority, not revoked by a list that is
// known here; a warning where none is. Throws refused, mismatch.
ExchangeCertificate read_exchange_certificate(const std::string& exchange_file,
                                              const std::string& authority_file, Context& context);

}  // namespace hsmith::cli
