#include "src/recovery/recover.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/recovery/private_key_blob.h"
#include "src/x509/certificate.h"
#include "src/x509/chain.h"
#include "src/x509/name.h"

namespace hsmith::recovery {

ossl::PKey open_blob(const RecoveryBlob& blob, const cms::Recipient& recipient,
                     ossl::RemoteKey& agent, std::string_view input) {
  const auto changed = [&] {
    return Error(Kind::mismatch,
                 fmt::format("recover from {}: what comes out is not the key of its certificate: "
                             "the blob was changed, or is not for this agent",
                             quoted(input)));
  };
  try {
    const Secret plaintext = open_envelope(blob.envelope, recipient, agent, input);
    return read_archived_key(plaintext.reveal(), x509::public_key_of(blob.user.get()),
                             quoted(input));
  } catch (const Error& error) {
    if (error.kind() == Kind::decryption_failed || error.kind() == Kind::malformed ||
        error.kind() == Kind::mismatch) {
      throw changed();
    }
    throw;
  }
}

Pfx pfx_of(const RecoveryBlob& blob, ossl::PKey key) {
  Pfx pfx;
  std::string name = x509::last_value(X509_get_subject_name(blob.user.get()), "CN");
  if (!blob.compromised.empty()) name += " (compromised)";
  pfx.keys.push_back({std::move(key), name});
  for (auto& link : x509::order_chain(blob.user.get(), blob.others))
    pfx.certificates.push_back({std::move(link), pfx.certificates.empty() ? name : ""});
  return pfx;
}

}  // namespace hsmith::recovery
