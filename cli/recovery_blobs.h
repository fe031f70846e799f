// Recovery blobs at an agent's place: read, shown, and opened with the agent's key.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/context.h"
#include "src/base/error.h"
#include "src/recovery/recover.h"
#include "tokens/keys.h"

namespace hsmith::cli {

// Several blobs are several items: what is wrong with one keeps no other from being opened.
struct Failures {
  bool all_or_nothing = false;  // it does: there is but one, or all go into one file
  std::vector<Error> errors;
};
// False when the work failed, and its error was kept. An error that is no blob's own is thrown on:
// after a wrong PIN the next try could lock the card.
bool or_failed(Failures& failures, const std::function<void()>& work);

struct BlobFile {
  std::string file;
  recovery::RecoveryBlob blob;
  std::string output;  // where recover writes its key, if into a file
};
std::vector<BlobFile> read_blobs(const std::vector<std::string>& files, Failures& failures);

// Whose keys they are and which agents can open them.
Outcome show_blobs(const std::vector<BlobFile>& blobs);

// Which of a blob's agents is to open it; neither: any whose key is there.
struct RecipientChoice {
  std::size_t number = 0;  // from 1, in the order of recover --show
  std::string thumbprint;  // the start of its certificate's SHA-1 or SHA-256, hex
};
// A number, or 8 and more digits of a thumbprint, with spaces and colons or without. Throws usage.
RecipientChoice parse_recipient(const std::string& text);

// The agent's key for a blob: of its recipients the one whose private key is on the token; by the
// certificate that came with the blob or is on the token, so by modulus in the end.
struct AgentMatch {
  const BlobFile* input = nullptr;
  // One; several where agents have one issuer and serial number, which is all that tells them
  // apart.
  std::vector<const cms::Recipient*> recipients;
  const tokens::Key* key = nullptr;
  ossl::Certificate certificate;
};
// Throws not_found with the agents that could; ambiguous when the choice is of several.
AgentMatch match_agent(const BlobFile& input, const RecipientChoice& choice,
                       const tokens::OpenToken& token, const tokens::Inventory& inventory);

// A key that came out of a blob.
struct Opened {
  const BlobFile* input = nullptr;
  ossl::PKey key;
};
struct OpenedBlobs {
  std::vector<Opened> keys;
  Bytes receipt;  // the file, when it was asked for and a key is there
};
// All are opened in one login; each is announced in the audit log before. `to` is where the keys
// go, for the receipt, which names those that were opened.
OpenedBlobs open_blobs(std::span<const AgentMatch> agents, const tokens::OpenToken& token,
                       bool with_receipt, const std::string& to, Failures& failures,
                       Context& context);

}  // namespace hsmith::cli
