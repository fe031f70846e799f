// sign --format cms, smime and jws: who signs with which certificate, and the message that it
// makes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/context.h"
#include "src/cms/sign.h"
#include "src/ossl/handles.h"
#include "tokens/keys.h"

namespace hsmith::cli {

struct MessageOptions {
  std::string format = "raw";
  bool detached = false;
  bool attached = false;
  bool chain = false;
  bool der = false;

  bool is_raw() const { return format == "raw"; }
  // As asked, or the format's default: CMS and S/MIME are detached, JWS holds its content.
  cms::Placing placing() const;
};

void add_message_options(Arguments& command, MessageOptions& options);
// Throws usage for options that contradict each other, or do not go with the format.
void check_message_options(const MessageOptions& options);
// ".sig", ".p7s", ".p7m", ".eml", ".jws".
std::string suffix_of(const MessageOptions& options);

// A key with the certificate in service for it.
struct MessageSigner {
  std::shared_ptr<ossl::RemoteKey> key;
  ossl::Scheme scheme;
  ossl::Certificate certificate;
  std::vector<ossl::Certificate> chain;  // with --chain: intermediates, no root

  // The same with the key in another session.
  MessageSigner with_key(std::shared_ptr<ossl::RemoteKey> other) const;
  cms::Signing signing() const { return {key, scheme, certificate.get(), chain}; }
};

// Finds the certificate on the token and looks whether it may sign now: one that is expired, not
// valid yet or not for signing is refused. Warns of what readers of mail will complain about.
MessageSigner message_signer(const tokens::OpenToken& token, const tokens::Key& key,
                             std::shared_ptr<ossl::RemoteKey> remote, const ossl::Scheme& scheme,
                             const MessageOptions& options, Context& context);

// Told the digest of the file before the key is used.
using Announce = std::function<void(ByteView digest)>;

// The message for one file, verified, as it is written.
Bytes signed_message(const std::string& file, const MessageSigner& signer,
                     const MessageOptions& options, const Announce& announce);

// True for a message that holds one signature, good, with this signer's certificate and scheme,
// over the file, and has the form that the options ask for.
// Throws malformed for what is no message of the format.
bool is_signed_message(const Bytes& message, const std::string& file, const MessageSigner& signer,
                       const MessageOptions& options);

}  // namespace hsmith::cli
