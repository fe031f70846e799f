// What goes between an officer and an agent when archived keys get more agents: the encrypted
// content keys go out, and come back encrypted to others. JSON; the signatures are around it.
#pragma once

#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/ossl/handles.h"

namespace hsmith::recovery {

// How a key is encrypted, in archive.h's words, and what came out.
struct EncryptedKey {
  std::string ability;
  Bytes encrypted;
};

// An agent to whom keys may be encrypted anew.
struct NewAgent {
  ossl::Certificate certificate;
  std::string ability;  // the best that its card has
};

// An archived key of which the officer gives out no more than its content key needs.
struct ExportedKey {
  std::int64_t id = 0;
  Bytes content;                // SHA-256 of cipher and encrypted content
  EncryptedKey content_key;     // to the agent that it was exported from
  Bytes cipher;                 // AlgorithmIdentifier
  Bytes first_block;            // of the encrypted content
  std::vector<Bytes> openings;  // what that can be, decrypted: nothing of it is secret
};

struct RekeyExport {
  std::string archive;  // its id
  ossl::Certificate from;
  std::vector<NewAgent> to;
  // A random number, encrypted to `from`: who gives back its MAC has that agent's key.
  EncryptedKey challenge;
  std::vector<ExportedKey> keys;
};

// One key, encrypted to one new agent.
struct WrappedKey {
  std::int64_t id = 0;
  Bytes to;  // SHA-256 of the certificate
  EncryptedKey content_key;
};

struct RekeyAnswer {
  Bytes exported;  // the officer's file, whole
  std::vector<WrappedKey> keys;
};

inline constexpr std::size_t kMostRekeyed = 20'000;  // keys in one file
inline constexpr std::size_t kMostRekeyFile = 96u << 20;

// Reading throws malformed for anything that writing does not make.
std::string rekey_export_text(const RekeyExport& exported);
RekeyExport read_rekey_export(ByteView json, std::string_view input);

std::string rekey_answer_text(const RekeyAnswer& answer);
RekeyAnswer read_rekey_answer(ByteView json, std::string_view input);

}  // namespace hsmith::recovery
