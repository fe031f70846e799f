// The numbers of challenges that were encrypted to agents: kept where the officer works, so that an
// agent's file can be told from one that somebody else made.
#pragma once

#include <optional>

#include "cli/context.h"
#include "src/base/secret.h"

namespace hsmith::cli {

// `file` is what the challenge went out in, `about` the SHA-256 of the certificate that it is
// about.
void keep_challenge(const Context& context, ByteView file, const Secret& number, ByteView about);

// True when the challenge that was kept for a file with this SHA-256 is about another certificate.
// Where none was kept, or one of a time before this was kept with it, nothing is known.
bool is_about_another(const Context& context, ByteView file_sha256, ByteView certificate);

// True when the MAC of the text is under the number that was kept for a file with this SHA-256.
bool answers_challenge(const Context& context, ByteView file_sha256, std::string_view text,
                       ByteView mac);

}  // namespace hsmith::cli
