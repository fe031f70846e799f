// RecipientInfos made (RFC 5652, 6.2): the content's key for each who shall open the message.
#pragma once

#include <vector>

#include "src/base/secret.h"
#include "src/ossl/handles.h"
#include "src/ossl/rsa_padding.h"

namespace hsmith::cms {

// KeyTransRecipientInfo (6.2.1) for a certificate with an RSA key; OAEP's parameters spelled out.
Bytes transport_info(X509* certificate, const ossl::RsaEncryption& how, const Secret& content_key);

// KeyAgreeRecipientInfo for one with an EC key: ECDH with an ephemeral key (RFC 5753, 3.1.1),
// dhSinglePass-stdDH-sha256kdf, aes256-wrap.
Bytes agreement_info(X509* certificate, const Secret& content_key);

// The SET OF. It is sorted in DER (X.690, 11.6); so no order tells who was named first.
Bytes recipient_infos(std::vector<Bytes> infos);

}  // namespace hsmith::cms
