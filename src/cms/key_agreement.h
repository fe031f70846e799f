// ECDH recipients: from a shared secret to the key that wraps the content's key (RFC 5753).
#pragma once

#include <optional>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/ossl/algorithms.h"

namespace hsmith::cms {

// A key wrap (RFC 3394; RFC 3217 for Triple DES).
struct KeyWrap {
  int nid;
  const EVP_CIPHER* (*cipher)();
  std::size_t key_size;
};
// nullptr for a wrap that hsmith does not have.
const KeyWrap* key_wrap(int nid);
// The scheme dhSinglePass-stdDH or -cofactorDH with this digest: on curves with cofactor 1 both
// are the same. nullptr for others.
const ossl::DigestType* kdf_digest(int scheme_nid);

// ECC-CMS-SharedInfo, DER (RFC 5753, 7.2). `wrap_algorithm` is the AlgorithmIdentifier as the
// message has it.
Bytes shared_info(ByteView wrap_algorithm, const std::optional<Bytes>& user_material,
                  std::size_t key_size);

// The key-encryption key: ANSI X9.63 KDF (SEC 1, 3.6.1).
Secret key_encryption_key(const Secret& shared, const ossl::DigestType& digest, ByteView info,
                          std::size_t key_size);

Bytes wrap_key(const KeyWrap& wrap, const Secret& wrapping_key, const Secret& key);
// nullopt when it does not unwrap.
std::optional<Secret> unwrap_key(const KeyWrap& wrap, const Secret& wrapping_key, ByteView wrapped);

}  // namespace hsmith::cms
