// One file signed with a key on a token, and looked at again.
#pragma once

#include <memory>
#include <optional>

#include "cli/bulk_signing.h"
#include "cli/message_signing.h"
#include "cli/signature_options.h"
#include "src/ossl/remote_key.h"
#include "tokens/keys.h"

namespace hsmith::cli {

struct FileSigning {
  MessageOptions message;
  SignatureOptions signature;
  bool resume = false;
};

// What the files of one run are signed with.
struct FileSigner {
  std::shared_ptr<ossl::RemoteKey> key;
  ossl::Scheme scheme;
  std::optional<MessageSigner> message;  // of formats that need a certificate
};

// Throws usage where options and key do not go together.
FileSigner file_signer(const tokens::OpenToken& token, const tokens::Key& key,
                       const FileSigning& options, Context& context);
// The same key in another session.
FileSigner in_own_session(const tokens::OpenToken& token, const tokens::Key& key,
                          const FileSigner& first);

// For --resume: true when the signature is there and verifies.
bool is_signed(const SigningTask& task, const FileSigning& options, const FileSigner& signer);

// Signs, verifies and writes. That the output is free was checked before, but for a run that goes
// on
// (--resume). `announce` may be empty.
SigningResult sign_file(const SigningTask& task, const FileSigning& options,
                        const FileSigner& signer, const Context& context, const Announce& announce);

}  // namespace hsmith::cli
