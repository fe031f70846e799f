// CMC messages (RFC 5272) made in the shape in which Windows makes them
// ([MS-WCCE] 2.2.2.6, 2.2.2.8).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "src/ossl/remote_key.h"
#include "src/recovery/cmc.h"

namespace hsmith::recovery {

// A request whose private key goes along for an archive.
struct ArchivalRequest {
  ByteView request;                  // PKCS#10, DER
  const EVP_PKEY* key = nullptr;     // its private key
  X509* exchange = nullptr;          // to whose key it is encrypted
  std::string template_name;         // Windows's name for what is asked for; "" when there is none
  std::optional<ClientInfo> client;  // what the request says of where it was made
};

// The PKCS#10 in a PKIData with the hash over the archived key, signed by the PKCS#10's key under
// its key identifier; the archived key is an unsigned attribute. DER, read again and verified.
Bytes make_cmc_request(const ArchivalRequest& what, const std::shared_ptr<ossl::RemoteKey>& signer);

// What an authority answers: a certificate is issued, and its key is archived.
struct IssuedAnswer {
  X509* issued = nullptr;
  X509* authority = nullptr;                 // the signer's certificate
  std::span<const ossl::Certificate> chain;  // from the authority up, without it
  Bytes archived_key_hash;                   // as the request has it
};

// The response "Issued" with the certificate, its SHA-1 and the hash of the archived key, signed by
// the authority's key. DER, read again and verified. Throws unsupported for an Ed25519 key.
Bytes make_cmc_response(const IssuedAnswer& answer, const std::shared_ptr<ossl::RemoteKey>& signer);

}  // namespace hsmith::recovery
