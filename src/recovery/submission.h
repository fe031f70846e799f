// A private key that a request brings to its authority ([MS-WCCE] 3.2.2.6.2.1.2.2).
#pragma once

#include <span>
#include <string>

#include "src/ossl/remote_key.h"
#include "src/recovery/cmc.h"

namespace hsmith::recovery {

// Reads a CMC request with an archived key from a file (PEM or DER) and verifies its bindings, as
// read_cmc_request. Throws refused with Windows's code for a request that brings no key.
CmcRequest read_submission(ByteView file, const std::string& input);

// Who a key is encrypted to, for messages: "issuer CN=..., serial 0a".
std::string recipient_names(const Envelope& envelope);

// Throws refused for a key that only signs: by its type, or by the usages and purposes that are
// asked for or will be issued.
void require_for_encryption(const CmcRequest& request, const std::vector<std::string>& key_usage,
                            const std::vector<std::string>& purposes, const std::string& input);

// The private key, decrypted by the exchange key and proved to be that of the PKCS#10. What goes
// wrong on the way is told apart no further: throws mismatch; refused for a signature key's blob.
ossl::PKey submitted_key(const CmcRequest& request, const cms::Recipient& recipient,
                         ossl::RemoteKey& exchange_key, const std::string& input);

}  // namespace hsmith::recovery
