// Opening a recovery blob with an agent's key.
#pragma once

#include <string>

#include "src/ossl/remote_key.h"
#include "src/recovery/blob.h"
#include "src/recovery/pfx.h"

namespace hsmith::recovery {

// Undoes the recipient's encryption with the agent's key, then the content's, and proves that what
// comes out is the key of the blob's certificate: an envelope does not say when it was changed, and
// a wrong padding is not told apart from a wrong key. Throws mismatch.
ossl::PKey open_blob(const RecoveryBlob& blob, const cms::Recipient& recipient,
                     ossl::RemoteKey& agent, std::string_view input);

// The key with its certificate and the chain, as far as the blob has it, for PKCS#12. The name of
// one that is compromised says so.
Pfx pfx_of(const RecoveryBlob& blob, ossl::PKey key);

}  // namespace hsmith::recovery
