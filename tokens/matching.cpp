#include "tokens/matching.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/error.h"
#include "tokens/token_key.h"

namespace hsmith::tokens {
namespace {

// The public halves that go along with a key.
std::vector<ossl::PKey> halves_along(const Inventory& inventory, const Key& key) {
  std::vector<ossl::PKey> halves;
  for (const Key& other : inventory.public_keys) {
    if (other.public_key && goes_along(key, other.label, other.id))
      halves.push_back(ossl::share(other.public_key.get()));
  }
  for (const TokenCertificate& other : inventory.certificates) {
    if (!goes_along(key, other.label, other.id)) continue;
    if (ossl::PKey half = certified_key(other)) halves.push_back(std::move(half));
  }
  return halves;
}

bool may_have(const Inventory& inventory, const Key& key, EVP_PKEY* wanted) {
  if (key.public_key) return ossl::same_public_key(key.public_key.get(), wanted);
  const std::vector<ossl::PKey> halves = halves_along(inventory, key);
  return std::any_of(halves.begin(), halves.end(), [&](const ossl::PKey& half) {
    return ossl::same_public_key(half.get(), wanted);
  });
}

}  // namespace

bool goes_along(const Key& key, const std::string& label, const Bytes& id) {
  return id == key.id && (!id.empty() || (!label.empty() && label == key.label));
}

ossl::PKey certified_key(const TokenCertificate& certificate) {
  const unsigned char* start = certificate.der.data();
  const ossl::Certificate parsed(
      d2i_X509(nullptr, &start, static_cast<long>(certificate.der.size())));
  EVP_PKEY* key = parsed ? X509_get0_pubkey(parsed.get()) : nullptr;
  return key != nullptr ? ossl::share(key) : nullptr;
}

std::vector<const Key*> sharing_id(const Inventory& inventory, const Key& key) {
  std::vector<const Key*> others;
  for (const Key& other : inventory.private_keys) {
    if (other.handle != key.handle && goes_along(key, other.label, other.id))
      others.push_back(&other);
  }
  return others;
}

bool has_doubtful_half(const Inventory& inventory, const Key& key) {
  if (key.public_key) return false;
  if (!sharing_id(inventory, key).empty()) return true;
  const std::vector<ossl::PKey> halves = halves_along(inventory, key);
  return std::any_of(halves.begin(), halves.end(), [&](const ossl::PKey& half) {
    if (!ossl::same_public_key(half.get(), halves.front().get())) return true;
    return std::any_of(
        inventory.private_keys.begin(), inventory.private_keys.end(), [&](const Key& other) {
          return other.handle != key.handle && may_have(inventory, other, half.get());
        });
  });
}

Key with_proved_half(const OpenToken& token, const Inventory& inventory, Key key) {
  if (key.public_key) return key;
  for (ossl::PKey& half : halves_along(inventory, key)) {
    if (!holds_private_half(token, key, half.get())) continue;
    key.public_key = {half.release(), EVP_PKEY_free};
    break;
  }
  return key;
}

ossl::PKey proved_public_key_of(const OpenToken& token, const Key& key) {
  ossl::PKey half = public_key_of(token, key);
  if (key.public_key || holds_private_half(token, key, half.get())) return half;
  throw Error(Kind::mismatch,
              fmt::format("read the public key of {}: what the token has beside it is another "
                          "key's",
                          key.uri))
      .hint("see what belongs together with: hsmith cert repair --plan");
}

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

std::vector<const Key*> keys_with(const OpenToken& token, const Inventory& inventory,
                                  EVP_PKEY* wanted) {
  std::vector<const Key*> hits;
  for (const Key& key : inventory.private_keys) {
    if (may_have(inventory, key, wanted)) hits.push_back(&key);
  }
  const bool are_several = hits.size() > 1;
  std::erase_if(hits, [&](const Key* key) {
    const bool is_certain = key->public_key || !(are_several || has_doubtful_half(inventory, *key));
    return !is_certain && !holds_private_half(token, *key, wanted);
  });
  return hits;
}

}  // namespace hsmith::tokens
