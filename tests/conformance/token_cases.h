// Cases that need a private or secret key: on the token that the environment names.
#pragma once

#include <memory>
#include <string>

#include "src/base/environment.h"
#include "src/ossl/remote_key.h"
#include "tests/conformance/answer.h"
#include "tokens/token.h"

namespace hsmith::conformance {

// The token, and the key of the group of cases that is being asked about. Keys are session objects:
// nothing stays.
class TokenCases {
 public:
  TokenCases();

  Answer sign(const Json& request);
  Answer decrypt_rsa(const Json& request);
  Answer derive(const Json& request);
  // AES-CBC with padding, AES-GCM.
  Answer decrypt_aes(const Json& request);
  // Wycheproof's and the collection's key wrap: `kek`, `plain`, `wrapped`, in hex.
  Answer unwrap(bool padded, const Bytes& kek, const Bytes& plain, const Bytes& wrapped,
                const std::string& good, const std::string& bad);

 private:
  std::shared_ptr<ossl::RemoteKey> rsa_key(const Json& request);
  std::shared_ptr<ossl::RemoteKey> import_pair(EVP_PKEY* pair);
  CK_OBJECT_HANDLE import_secret(CK_KEY_TYPE type, ByteView value);
  void forget();

  Environment environment_;
  tokens::OpenToken token_;
  CK_SESSION_HANDLE raw_session_ = 0;
  std::string group_;
  std::shared_ptr<ossl::RemoteKey> key_;
  std::vector<CK_OBJECT_HANDLE> objects_;
};

}  // namespace hsmith::conformance
