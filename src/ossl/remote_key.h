// A private key that lives elsewhere, and how it becomes an EVP_PKEY.
#pragma once

#include <memory>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/handles.h"

namespace hsmith::ossl {

// What hsmith asks of a private key, wherever it is: on a token, or in memory in tests.
class RemoteKey {
 public:
  virtual ~RemoteKey() = default;

  // The public half; borrowed, lives as long as the key.
  virtual EVP_PKEY* public_key() const = 0;

  // Signs a digest (RSA, ECDSA) or a whole message (Ed25519). Gives the signature as X.509 and CMS
  // carry it: ECDSA as DER.
  virtual Bytes sign(const Scheme& scheme, ByteView digest_or_message) = 0;

  // RSA: undoes PKCS#1 v1.5 (RFC 8017, 7.2.2).
  virtual Secret decrypt_pkcs1(ByteView ciphertext) = 0;

  // ECDH with a peer's public point, uncompressed: the x-coordinate of the product (SP 800-56A).
  virtual Secret derive(ByteView peer_point) = 0;
};

// The key as an EVP_PKEY of hsmith's own provider in a library context of its own: X509_REQ_sign,
// X509_sign, CMS_add1_signer and the like use it as they use any other key. It keeps the RemoteKey
// alive, and so does every X509_REQ or CMS structure that OpenSSL puts it into. What the RemoteKey
// throws comes out of the next ossl::check() as itself. It signs only: verify with public_key().
// PSS is as in Scheme; another salt or MGF1 digest is refused as unsupported, SHA-1 as refused.
PKey as_pkey(std::shared_ptr<RemoteKey> key);

}  // namespace hsmith::ossl
