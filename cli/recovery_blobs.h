// Recovery blobs at an agent's place: read, shown, and opened with the agent's key.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "src/recovery/recover.h"
#include "tokens/keys.h"

namespace hsmith::cli {

struct BlobFile {
  std::string file;
  recovery::RecoveryBlob blob;
};
std::vector<BlobFile> read_blobs(const std::vector<std::string>& files);

// Whose keys they are and which agents can open them.
Outcome show_blobs(const std::vector<BlobFile>& blobs);

// The agent's key for a blob: of its recipients the one whose private key is on the token; by the
// certificate that came with the blob or is on the token, so by modulus in the end.
struct AgentMatch {
  const cms::Recipient* recipient = nullptr;
  const tokens::Key* key = nullptr;
  ossl::Certificate certificate;
};
// Throws not_found with the agents that could.
AgentMatch match_agent(const BlobFile& input, const tokens::OpenToken& token,
                       const tokens::Inventory& inventory);

// A key that came out of a blob.
struct Opened {
  const BlobFile* input = nullptr;
  ossl::PKey key;
};
struct OpenedBlobs {
  std::vector<Opened> keys;
  Bytes receipt;  // the file, when it was asked for
};
// All are opened in one login; each is announced in the audit log before. `to` is where the keys
// go, for the receipt.
OpenedBlobs open_blobs(const std::vector<BlobFile>& inputs, const tokens::OpenToken& token,
                       const tokens::Inventory& inventory, bool with_receipt, const std::string& to,
                       Context& context);

}  // namespace hsmith::cli
