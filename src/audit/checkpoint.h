// A checkpoint of the audit log: a place in it, signed, to be kept elsewhere.
#pragma once

#include <string>

#include "src/audit/log.h"
#include "src/base/bytes.h"

namespace hsmith::audit {

struct Checkpoint {
  Position position;
  std::string time;        // RFC 3339
  std::string key_sha256;  // of the signer's SubjectPublicKeyInfo, hex
  std::string scheme;      // "pkcs1:sha256", "ecdsa:sha384", "eddsa:"
  Bytes signature;
};

// What is signed: "hsmith log checkpoint v1", NUL, then number, hash, time and key, a line each.
Bytes signed_bytes(const Checkpoint& checkpoint);

// As the file holds it: one JSON object.
std::string format(const Checkpoint& checkpoint);
// Throws malformed, naming `input`.
Checkpoint parse_checkpoint(ByteView content, std::string_view input);

}  // namespace hsmith::audit
