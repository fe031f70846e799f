// Private keys and their public halves. That an object has a key's id, or its label where the key
// has no id, makes it likely that it is the key's own; several private keys may share an id though,
// and another key's certificate may have it.
#pragma once

#include <string>
#include <vector>

#include "tokens/keys.h"

namespace hsmith::tokens {

// True for an object that has the key's id, or where the key has none, no id and the key's label.
bool goes_along(const Key& key, const std::string& label, const Bytes& id);

// The public key that a certificate on the token certifies; null when it cannot be read.
ossl::PKey certified_key(const TokenCertificate& certificate);

// The other private keys to which goes along what goes along with this one.
std::vector<const Key*> sharing_id(const Inventory& inventory, const Key& key);

// True for a key that does not show its public half where what goes along with it may be another
// private key's: they share an id, or a public half, or its objects hold different keys.
bool has_doubtful_half(const Inventory& inventory, const Key& key);

// The key with the public half that goes along with it and that it proves by an operation; without
// one when there is none. Throws what the token failed with.
Key with_proved_half(const OpenToken& token, const Inventory& inventory, Key key);

// As public_key_of, but what only goes along with the key is proved by an operation: mismatch when
// it is another key's.
ossl::PKey proved_public_key_of(const OpenToken& token, const Key& key);

// The private keys whose public half is `wanted`, as far as it is known.
std::vector<const Key*> keys_with(const Inventory& inventory, EVP_PKEY* wanted);
// Where that is doubtful, or several may be it, those that prove it by an operation. Throws what
// the token failed with.
std::vector<const Key*> keys_with(const OpenToken& token, const Inventory& inventory,
                                  EVP_PKEY* wanted);

}  // namespace hsmith::tokens
