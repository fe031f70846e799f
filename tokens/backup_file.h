// The file that `hsmith key backup` writes: wrapped keys, and all that is needed to know them
// again.
#pragma once

#include <ctime>
#include <set>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/ossl/algorithms.h"
#include "tokens/templates.h"

namespace hsmith::tokens {

inline constexpr std::size_t kBackupLimit = 16u << 20;

struct BackedUpKey {
  KeySpec spec;  // label, id, type and uses
  ossl::PKey public_key;
  std::vector<Bytes> certificates;  // DER, of this key
  Bytes wrapped;
  // Made by the key itself, by the default scheme of its type, over backup_to_sign().
  Bytes signature;
};

struct Backup {
  std::time_t created = 0;
  // Where the keys were.
  std::string token_label;
  std::string manufacturer;
  std::string model;
  std::string serial;
  // The key that they are wrapped under, and how.
  std::string wrapping_label;
  Bytes wrapping_id;
  std::string check_value;  // of wrapping.h; empty where that token does not give one
  std::string mechanism;    // "CKM_AES_KEY_WRAP_PAD"
  std::string padding;      // padding_name() of wrapping.h
  std::vector<BackedUpKey> keys;
};

// JSON, which reading takes back only byte for byte as this writes it.
std::string backup_text(const Backup& backup);
// Bounded, and every member checked. Throws malformed; refused for a key that was less protected
// than `key generate --backup-under` makes one. The signatures are still to be verified.
Backup read_backup(ByteView content, const std::string& name);

// What every key of the backup signs: "hsmith key backup v1", NUL, and the SHA-256 of the file
// without its signatures.
Bytes backup_to_sign(const Backup& backup);
// As a key's scheme takes it: a digest, or the bytes themselves.
bool verify_backup_signature(const BackedUpKey& key, ByteView to_sign);

}  // namespace hsmith::tokens
