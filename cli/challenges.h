// The numbers of challenges that were encrypted to agents: kept where the officer works, so that an
// agent's file can be told from one that somebody else made.
#pragma once

#include <optional>

#include "cli/context.h"
#include "src/base/secret.h"

namespace hsmith::cli {

// `file` is what the challenge went out in.
void keep_challenge(const Context& context, ByteView file, const Secret& number);

// True when the MAC of the text is under the number that was kept for a file with this SHA-256.
bool answers_challenge(const Context& context, ByteView file_sha256, std::string_view text,
                       ByteView mac);

}  // namespace hsmith::cli
