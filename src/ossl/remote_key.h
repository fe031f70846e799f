// A private key that lives elsewhere, and how it becomes an EVP_PKEY.
#pragma once

#include <memory>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/handles.h"
#include "src/ossl/rsa_padding.h"

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

  // RSA: the message, or with RsaPadding::none the block, as long as the modulus. The padding that
  // is asked for and no other: throws decryption_failed when the ciphertext is not padded so, or is
  // no number below the modulus; unsupported when the key, or where it lives, cannot do it.
  virtual Secret decrypt(const RsaEncryption& how, ByteView ciphertext) = 0;

  // The same for a key of `size` bytes that somebody encrypted. A bad padding is not told apart
  // here: it gives a random key (rsa_padding.h). To be preferred wherever the size is known.
  virtual DecryptedKey decrypt_key(const RsaEncryption& how, ByteView ciphertext,
                                   std::size_t size) = 0;

  // ECDH with a peer's public point, uncompressed: the x-coordinate of the product (SP 800-56A), as
  // long as the curve's field. Throws malformed for a point that is not on the curve.
  virtual Secret derive(ByteView peer_point) = 0;
};

// The key as an EVP_PKEY of hsmith's own provider in a library context of its own: X509_REQ_sign,
// X509_sign, CMS_add1_signer and the like use it as they use any other key. It keeps the RemoteKey
// alive, and so does every X509_REQ or CMS structure that OpenSSL puts it into. What the RemoteKey
// throws comes out of the next ossl::check() as itself. It signs only: verify with public_key().
// PSS is as in Scheme; another salt or MGF1 digest is refused as unsupported, SHA-1 as refused.
PKey as_pkey(std::shared_ptr<RemoteKey> key);

}  // namespace hsmith::ossl
