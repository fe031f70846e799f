// The recovery blob: an archived key's envelope, signed by an officer, with all certificates that
// an agent needs, for a place without the archive ([MS-CSRA] 3.1.4.2.9).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/recovery/archive.h"
#include "src/recovery/envelope.h"
#include "src/recovery/signed_file.h"

namespace hsmith::recovery {

// SignedData over id-data that is the stored ContentInfo, with the user's certificate and chain,
// the agents' and the officer's certificates; its signed attribute 1.3.6.1.4.1.311.21.16 is the
// SHA-1 of the user's certificate; another one holds a random number, enveloped to the agents whose
// certificates the archive has: who writes a receipt (receipt.h) has to know it. Where the key is
// `compromised`, why it is given out all the same ("" where it is not) is a third one. Certificates
// that the archive lost are left out, but for the user's, and so are those of the chain that bear
// an agent's issuer and serial number. DER, verified before it is given out.
struct MadeBlob {
  Bytes blob;
  Secret challenge;
};
MadeBlob make_blob(Archive& archive, const KeyRow& key, const std::string& compromised,
                   const FileSigner& signer);

struct RecoveryBlob {
  std::string signer;                     // the subject of who signed it
  ossl::Certificate signer_certificate;   // as it came; null when it did not
  ossl::Certificate user;                 // whose key it is
  std::vector<ossl::Certificate> others;  // all that came with it
  Envelope envelope;
  std::optional<Envelope> challenge;  // of blobs that hsmith made
  std::string compromised;            // the officer's reason, where the key is
  Bytes sha256;                       // of the whole blob
};

// Reads a blob in each of its encodings: the envelope as a ContentInfo in id-data, as EnvelopedData
// in an OCTET STRING, and as EnvelopedData without one, as PKCS#7 had it. Its signature is
// verified, and SHA-1 of the user's certificate must be its attribute 21.16; whether the signer is
// an officer is for others. `input` is the file's name. Throws malformed, mismatch.
RecoveryBlob read_blob(ByteView content, std::string_view input);

// The certificates among those that came with the blob that have a recipient's name: an agent's
// first. Anybody can make one more with the same issuer and serial number, so whoever looks for the
// agent's key tries them all.
std::vector<X509*> certificates_of(const RecoveryBlob& blob, const cms::Recipient& recipient);

}  // namespace hsmith::recovery
