// CMS signatures made (RFC 5652, 5) by a key that lives elsewhere.
#pragma once

#include <memory>
#include <span>

#include "src/cms/verify.h"
#include "src/ossl/remote_key.h"

namespace hsmith::cms {

enum class Placing { detached, attached };

// A signed attribute with an OCTET STRING as its one value.
struct SignedAttribute {
  const char* oid;  // dotted
  Bytes octets;
};

// Who signs, and how.
struct Signing {
  std::shared_ptr<ossl::RemoteKey> key;
  ossl::Scheme scheme;
  X509* certificate = nullptr;                       // of this key
  std::span<const ossl::Certificate> chain;          // goes into the message as well
  std::span<const SignedAttribute> attributes = {};  // besides those of every signature
};

// The SignedData message over a content, DER: signed attributes with the time and the certificate's
// hash (ESSCertIDv2, RFC 5035). Detached: in constant memory. What is given out was decoded again
// and verified. Throws unsupported for an Ed25519 key and for an attached content above 512 MiB.
Bytes sign(const Signing& signing, Placing placing, const Content& content);

}  // namespace hsmith::cms
