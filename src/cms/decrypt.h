// Encrypted messages opened with a key that lives elsewhere.
#pragma once

#include <string_view>

#include "src/cms/enveloped_data.h"
#include "src/ossl/remote_key.h"

namespace hsmith::cms {

// The content, whole. `recipient` is the one of the message whose key this is. Throws its refusal;
// unsupported when the key cannot do it; and decryption_failed, always with the same words and on
// the same way: a content key that was not padded as the message declares, or does not unwrap, is
// replaced by a random one, and the content is decrypted all the same.
Bytes decrypt(const EnvelopedData& message, const Recipient& recipient, ossl::RemoteKey& key,
              std::string_view input);

}  // namespace hsmith::cms
