// What crosses between officers and agents: a text with the signature of one of them, or with what
// stands in for it where an agent's card does not sign.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/ossl/handles.h"
#include "src/ossl/remote_key.h"

namespace hsmith::recovery {

// Who signs it: a key, and its certificate.
struct FileSigner {
  std::shared_ptr<ossl::RemoteKey> key;
  X509* certificate = nullptr;
};

// SignedData with the text and the signer's certificate, DER; verified before it is given out.
Bytes sign_file(ByteView text, const FileSigner& signer);

struct SignedFile {
  Bytes content;
  std::string signer;                           // the subject of who signed it
  ossl::Certificate certificate;                // as it came; null when it did not
  std::vector<ossl::Certificate> certificates;  // all that came with it
};
// Throws malformed unless there is one signer and a content, mismatch when the signature does not
// verify. Whose it is, and whether that one may, is for others. `input` is the file's name.
SignedFile read_signed_file(ByteView content, std::string_view input);

// An agent's text. Each MAC is under a number that was encrypted to the agent, so that nobody makes
// it who has not its card, but for the officer who chose the number.
struct AgentFile {
  std::string text;
  std::vector<Bytes> macs;
  ossl::Certificate signer;  // null where the agent's card does not sign
};
// `signer` may be null.
Bytes write_agent_file(const std::string& text, const std::vector<Bytes>& macs,
                       const FileSigner* signer);
AgentFile read_agent_file(ByteView content, std::string_view input);

// The random number of a challenge, and the MAC under it: HMAC-SHA-256.
inline constexpr std::size_t kChallenge = 32;
Secret new_challenge();
Bytes challenge_mac(const Secret& number, std::string_view text);

}  // namespace hsmith::recovery
