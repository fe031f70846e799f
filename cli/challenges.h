// The numbers of challenges that were encrypted to agents: kept where the officer works, so that an
// agent's file can be told from one that somebody else made.
#pragma once

#include <optional>
#include <vector>

#include "cli/context.h"
#include "src/base/secret.h"

namespace hsmith::cli {

// What a challenge went out with, by the SHA-256 of certificates.
struct ChallengeFacts {
  Bytes about;                // whose key it is
  std::vector<Bytes> agents;  // who can open it
};

// `file` is what the challenge went out in.
void keep_challenge(const Context& context, ByteView file, const Secret& number,
                    const ChallengeFacts& facts);

// What was kept with the challenge of a file with this SHA-256. Where none was kept, nothing is
// known; nor is what was not kept yet when it went out: then `about`, or `agents`, is empty.
ChallengeFacts challenge_facts(const Context& context, ByteView file_sha256);

// True when the MAC of the text is under the number that was kept for a file with this SHA-256.
bool answers_challenge(const Context& context, ByteView file_sha256, std::string_view text,
                       ByteView mac);

}  // namespace hsmith::cli
