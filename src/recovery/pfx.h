// PKCS#12 files (RFC 7292): read in every form that is met, written in two.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/ossl/handles.h"

namespace hsmith::recovery {

struct PfxKeys;  // pfx_keys.h

struct PfxKey {
  ossl::PKey key;    // a software key
  std::string name;  // friendlyName, UTF-8; may be empty
};

struct PfxCertificate {
  ossl::Certificate certificate;
  std::string name;
};

// What a file holds, in its order. Keys and certificates are paired by public key: local key ids
// are hints that files get wrong.
struct Pfx {
  std::vector<PfxKey> keys;
  std::vector<PfxCertificate> certificates;
};

// What can be told of a file without its password.
struct PfxProtection {
  std::string mac;                      // "sha256, 2048 iterations"; "" when there is none
  std::vector<std::string> encryption;  // of what stands in it, each once, in its order
};

// At most this large; at most 10,000 keys and certificates.
inline constexpr std::size_t kPfxLimit = 16u << 20;

PfxProtection pfx_protection(ByteView content, const std::string& input);

// True when an empty password opens it (some programs call this "no password").
bool pfx_opens_without_password(ByteView content, const std::string& input);

// Opens a file: BER or DER; PBES1, PBES2 and the algorithms of OpenSSL's legacy provider where it
// is installed; several keys. The MAC comes first. Throws malformed, pin_incorrect, refused for too
// many iterations, unsupported for what is not password-based, and for PBMAC1.
Pfx read_pfx(ByteView content, const std::string& input, const Secret& password);
// The same by keys that were derived for it before.
Pfx read_pfx(ByteView content, const std::string& input, const PfxKeys& keys);

// The certificates that have the key's public half.
std::vector<const X509*> certificates_of(const Pfx& pfx, EVP_PKEY* key);

// modern: PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA-256, MAC with SHA-256. old_windows: 3DES and
// SHA-1 throughout, which Windows before 10 (1703) and Server 2019 reads.
enum class PfxStyle { modern, old_windows };

// Writes files that open with one password. What the password gives is derived once for all of
// them: that is nearly all of the work.
class PfxWriter {
 public:
  PfxWriter(const Secret& password, PfxStyle style);
  ~PfxWriter();

  // A file with names and local key ids. It is opened again, the first one by the password alone:
  // throws internal when what comes back is not what went in. At least one key or certificate.
  Bytes write(const Pfx& pfx);

 private:
  Secret password_;
  std::unique_ptr<PfxKeys> keys_;  // null: in the style of old Windows
  bool proved_ = false;
};

// One file.
Bytes write_pfx(const Pfx& pfx, const Secret& password, PfxStyle style);

}  // namespace hsmith::recovery
