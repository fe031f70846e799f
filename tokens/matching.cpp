#include "tokens/matching.h"

#include "src/base/error.h"

namespace hsmith::tokens {

std::vector<const Key*> keys_with(const Inventory& inventory, EVP_PKEY* wanted) {
  std::vector<const Key*> hits;
  for (const Key& key : inventory.private_keys) {
    ossl::PKey half;
    try {
      half = public_key_of(inventory, key);
    } catch (const Error&) {  // a key whose public half nobody knows cannot be the one
      continue;
    }
    if (ossl::same_public_key(half.get(), wanted)) hits.push_back(&key);
  }
  return hits;
}

}  // namespace hsmith::tokens
