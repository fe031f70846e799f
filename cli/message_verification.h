// verify of CMS, S/MIME and JWS messages: each signer, and whether its certificate is to be
// trusted.
#pragma once

#include <optional>
#include <string>

#include "cli/context.h"
#include "cli/trust.h"
#include "src/ossl/handles.h"
#include "src/x509/path.h"

namespace hsmith::cli {

enum class SignatureFormat { raw, cms, smime, jws };

// What the content of a file is; raw when it is none of the others.
SignatureFormat format_of(ByteView content);
const char* format_name(SignatureFormat format);
// True when a file that begins so may be one of the formats but raw.
bool may_be_message(ByteView start);

// Who is expected to have signed. Nothing: whoever the message names.
struct ExpectedSigner {
  ossl::Certificate certificate;  // --cert
  ossl::PKey key;                 // --key, --public, and the certificate's
};

// How certificates are validated; without it they are not.
struct Validation {
  Trust trust;
  x509::PathOptions path;
};
// "" when the certificate is good for signatures now; else why not.
struct CertificateVerdict {
  std::string problem;
  bool revocation_checked = false;
};
CertificateVerdict validate(X509* certificate, const Validation& validation);

// True when the file holds exactly these bytes.
bool same_content(const std::string& file, ByteView content);

struct MessageToVerify {
  SignatureFormat format;
  const Bytes& content;     // of the message file
  std::string name;         // the file's
  std::string signed_file;  // FILE; "" when it was not named
  std::string output;       // where the content goes; "" nowhere
};

// All signers must be good, their certificates too where there is a validation, and the expected
// one among them. The content is written only then.
// What the message brings along may link its certificates to the anchors.
Outcome verify_message(const MessageToVerify& message, const ExpectedSigner& expected,
                       std::optional<Validation> validation, Context& context);

}  // namespace hsmith::cli
