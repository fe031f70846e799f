// RecipientInfos made (RFC 5652, 6.2): the content's key for each who shall open the message.
#pragma once

#include <string_view>
#include <vector>

#include "src/base/secret.h"
#include "src/ossl/handles.h"
#include "src/ossl/rsa_padding.h"

namespace hsmith::cms {

// KeyTransRecipientInfo (6.2.1) for a certificate with an RSA key; OAEP's parameters spelled out.
Bytes transport_info(X509* certificate, const ossl::RsaEncryption& how, const Secret& content_key);
// The same around a key that somebody else encrypted.
Bytes transport_info(X509* certificate, const ossl::RsaEncryption& how, ByteView encrypted_key);

// KeyAgreeRecipientInfo for one with an EC key: ECDH with an ephemeral key (RFC 5753, 3.1.1),
// dhSinglePass-stdDH-sha256kdf, aes256-wrap.
Bytes agreement_info(X509* certificate, const Secret& content_key);

// The SET OF. It is sorted in DER (X.690, 11.6); so no order tells who was named first.
Bytes recipient_infos(std::vector<Bytes> infos);

// An EnvelopedData message with more of them. Those that it has and its encrypted content stay as
// they are, byte for byte. `content_info` is what read_enveloped_data() accepted.
Bytes with_recipients(ByteView content_info, std::vector<Bytes> more, std::string_view input);

}  // namespace hsmith::cms
