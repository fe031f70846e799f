#include "tokens/secret_keys.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/reading.h"

namespace hsmith::tokens {
namespace {

bool fits(const Selector& selector, const Key& key) {
  return selector.label.value_or(key.label) == key.label && selector.id.value_or(key.id) == key.id;
}

std::vector<Key> fitting(const Selector& selector, const std::vector<Key>& keys) {
  std::vector<Key> found;
  for (const Key& key : keys) {
    if (fits(selector, key)) found.push_back(key);
  }
  return found;
}

std::vector<std::string> uris_of(const std::vector<Key>& keys) {
  std::vector<std::string> uris;
  for (const Key& key : keys) uris.push_back(key.uri);
  return uris;
}

std::string finding(const OpenToken& token, const Selector& selector) {
  return fmt::format("find the key {} on the token {}", quoted(selector.text),
                     quoted(token.info.label));
}

// A search is cheap where a look at everything is not.
bool may_be_secret(const OpenToken& token, const Selector& selector) {
  pkcs11::Template wanted;
  wanted.set_number(CKA_CLASS, CKO_SECRET_KEY);
  if (selector.label) wanted.set_text(CKA_LABEL, *selector.label);
  if (selector.id) wanted.set(CKA_ID, *selector.id);
  return !while_doing(finding(token, selector), [&] {
            return token.session->find(wanted, 1);
          }).empty();
}

Inventory inventory_of(const OpenToken& token, const Selector& selector) {
  return while_doing(finding(token, selector), [&] { return take_inventory(token); });
}

}  // namespace

Key find_one_secret(const OpenToken& token, const Selector& selector) {
  const Inventory inventory = inventory_of(token, selector);
  const std::vector<Key>& all = inventory.secret_keys;
  const bool may_be = !selector.type || *selector.type == ObjectType::secret_key;
  const std::vector<Key> found = may_be ? fitting(selector, all) : std::vector<Key>();
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    for (const BrokenObject& broken : inventory.broken) {
      const bool another = broken.object_class == CKO_PRIVATE_KEY ||
                           broken.object_class == CKO_PUBLIC_KEY ||
                           broken.object_class == CKO_CERTIFICATE;
      if (another) continue;
      throw Error(Kind::token_failed, fmt::format("{}: an object cannot be read: {}",
                                                  finding(token, selector), broken.reason))
          .hint("see what the token holds with: hsmith doctor");
    }
    throw Error(Kind::not_found, finding(token, selector) + ": no secret key matches")
        .hint("see the keys with: hsmith key list")
        .candidates(uris_of(all));
  }
  throw Error(Kind::ambiguous,
              fmt::format("{}: {} secret keys match", finding(token, selector), found.size()))
      .hint("name one of them by its URI")
      .candidates(uris_of(found));
}

Key find_one_of_both(const OpenToken& token, const Selector& selector) {
  if (selector.type == ObjectType::secret_key) return find_one_secret(token, selector);
  if (selector.type || !may_be_secret(token, selector)) return find_one(token, selector);
  const Inventory inventory = inventory_of(token, selector);
  const std::vector<Key> secret = fitting(selector, inventory.secret_keys);
  std::vector<Key> found = fitting(selector, inventory.private_keys);
  if (secret.empty()) return find_one(token, selector);
  found.insert(found.end(), secret.begin(), secret.end());
  if (found.size() == 1) return found.front();
  throw Error(Kind::ambiguous,
              fmt::format("{}: {} keys match", finding(token, selector), found.size()))
      .hint("name one of them by its URI")
      .candidates(uris_of(found));
}

}  // namespace hsmith::tokens
