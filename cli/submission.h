// A request with a private key: the key goes into the archive, and only then is there a
// certificate.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/archive_access.h"
#include "cli/authority.h"
#include "cli/changes.h"
#include "src/ca/exchange.h"
#include "src/ca/issue.h"
#include "src/recovery/submission.h"

namespace hsmith::cli {

struct SubmissionOutput {
  std::string certificate;  // "-": standard output
  std::string format = "pem";
  std::string response;  // "": none is wanted
  std::string p7b;       // "": none is wanted
};
// Throws usage for outputs that do not go together.
void check_submission_output(const SubmissionOutput& output, const Context& context);
// Throws exists, io for an output that could not be written.
void check_free_output(const SubmissionOutput& output, const Context& context);
std::string absolute_output(const SubmissionOutput& output);

// The archive as another working folder names it too.
std::string archive_url(const recovery::Archive& archive);

// What is asked for, its bindings verified.
struct Submission {
  std::string name;  // for messages
  std::string ca;
  recovery::CmcRequest request;
  std::string sha256;  // of the PKCS#10
  x509::Profile profile;
};

// The certificate that this request has, when it is neither revoked nor expired. Throws exists when
// its key is not in this archive: it was issued without, or is in another one.
std::optional<ca::Issued> issued_before(const Submission& asked, OpenAuthority& authority,
                                        recovery::Archive& archive);

// What all checks have left: a proved key, a draft by the profile, and the keys to do it with.
struct Archiving {
  const Submission& asked;
  const ca::Draft& draft;
  ossl::PKey key;
  const ca::Authority& own;
  const ca::Signer& signer;
  const recovery::Trust& trust;
  const std::vector<recovery::UsableAgent>& agents;
  std::shared_ptr<ossl::RemoteKey> seal;
};

// Makes certificate, chain and response, archives the key, records the certificate, releases the
// files, in this order. From the moment when the key may be in the archive every error is
// unfinished: the same command again, or doctor --repair, goes on from there (authority_repair.h).
Outcome archive_and_issue(const Archiving& work, const SubmissionOutput& output,
                          OpenAuthority& authority, recovery::Archive& archive,
                          Undertaking& undertaking, Context& context);

// The same certificate once more; a file that holds it already stays.
Outcome give_again(const Submission& asked, const ca::Issued& issued,
                   const SubmissionOutput& output, const ca::Signer& signer,
                   recovery::Archive& archive, Context& context);

}  // namespace hsmith::cli
