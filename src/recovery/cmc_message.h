// The SignedData around CMC messages: one signer, whose certificate may not exist yet.
#pragma once

#include <optional>
#include <string>

#include "src/cms/ber.h"
#include "src/ossl/algorithms.h"

namespace hsmith::recovery {

struct CmcMessage {
  std::string content_type;  // dotted
  Bytes content;
  std::vector<cms::Element> certificates;
  // The signer info.
  Bytes issuer;  // DER; empty when the signer is named by its key identifier
  Bytes serial;
  Bytes key_identifier;
  const ossl::DigestType* digest = nullptr;
  bool rsa = true;  // else ECDSA
  cms::Element signed_attributes;
  Bytes message_digest;
  Bytes signature;
  std::optional<cms::Element> unsigned_attributes;
};

// Throws malformed; mismatch when the message digest is not the content's; unsupported for an
// algorithm that hsmith does not have. Views are of `ber`.
CmcMessage read_cmc_message(ByteView ber, const std::string& input);

// True when the signature over the signed attributes is this key's.
bool is_signed_by(const CmcMessage& message, EVP_PKEY* key);

// The one value of the attribute with this OID in a SET OF Attribute; nullopt when there is none.
// Throws malformed when it is there twice or has several values.
std::optional<cms::Element> attribute_value(const cms::Element& attributes, std::string_view oid,
                                            const std::string& input);

}  // namespace hsmith::recovery
