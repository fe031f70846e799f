// What an agent gives back to the archive: which blobs were opened, when, by whom, for what. Signed
// by the agent's key where it signs, and under each blob's challenge in any case.
#pragma once

#include <string>
#include <vector>

#include "src/recovery/blob.h"

namespace hsmith::recovery {

struct ReceiptEntry {
  Bytes blob;         // SHA-256 of the file
  Bytes certificate;  // SHA-256, whose key it is
  std::string subject;
  std::string serial;
};

struct Receipt {
  std::string time;   // RFC 3339
  Bytes agent;        // SHA-256 of the certificate
  std::string token;  // of the agent: its label and serial number
  std::string to;     // where the keys went: a file, a token
  std::vector<ReceiptEntry> entries;
};

std::string receipt_text(const Receipt& receipt);
// Throws malformed for anything that receipt_text() does not make.
Receipt read_receipt(ByteView text, std::string_view input);

ReceiptEntry receipt_entry(const RecoveryBlob& blob);
// The MAC of the text under the blob's challenge, which the agent's key opens; empty for a blob
// that has none.
Bytes receipt_mac(const RecoveryBlob& blob, X509* agent, ossl::RemoteKey& key,
                  std::string_view text);

}  // namespace hsmith::recovery
