#include "tokens/whole_key.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/error.h"
#include "tokens/matching.h"
#include "tokens/reading.h"

namespace hsmith::tokens {
namespace {

constexpr std::size_t kMost = 1000;  // objects that share an id

// Nothing of a class that the token finds by the id is missing from `read`: a module that says
// nothing, or something else, of an object's class would have it left over.
template <typename Object>
void check_all_read(const OpenToken& token, const Key& key, CK_OBJECT_CLASS object_class,
                    const std::vector<Object>& read) {
  const std::string doing = "look for all that goes with " + key.uri;
  pkcs11::Template wanted;
  wanted.set_number(CKA_CLASS, object_class).set(CKA_ID, key.id);
  for (const CK_OBJECT_HANDLE handle :
       while_doing(doing, [&] { return token.session->find(wanted, kMost); })) {
    const bool is_read = std::any_of(read.begin(), read.end(),
                                     [&](const Object& one) { return one.handle == handle; });
    if (is_read) continue;
    throw Error(Kind::token_failed,
                fmt::format("{}: object {} has its id, and the token does not let it be read; "
                            "nothing was changed",
                            doing, handle))
        .hint("run the command again; what cannot be read: hsmith doctor");
  }
}

// How much an object's names say that it is this key's.
template <typename Object>
int nearness(const Object& object, const Key& key) {
  const bool has_id = !key.id.empty() && object.id == key.id;
  const bool has_label = !key.label.empty() && object.label == key.label;
  return 2 * has_id + has_label;
}

// What is as near to another private key with the same public half stays with that one.
template <typename Object>
void leave_to_copies(const std::vector<const Key*>& all, const Key& key,
                     std::vector<Object>& objects) {
  std::erase_if(objects, [&](const Object& object) {
    return std::any_of(all.begin(), all.end(), [&](const Key* other) {
      return other->handle != key.handle && nearness(object, *other) >= nearness(object, key);
    });
  });
}

KeyObjects own_objects(const OpenToken& token, const Inventory& inventory, const Key& key) {
  if (!has_doubtful_half(inventory, key)) return objects_of(inventory, key);
  const Key proved = with_proved_half(token, inventory, key);
  return proved.public_key ? objects_of(inventory, proved) : KeyObjects{key, {}, {}};
}

}  // namespace

KeyObjects whole_key(const OpenToken& token, const Inventory& inventory, const Key& key) {
  if (key.object_class == CKO_SECRET_KEY) return objects_of(inventory, key);
  KeyObjects objects = own_objects(token, inventory, key);
  if (EVP_PKEY* half = objects.private_key.public_key.get()) {
    const std::vector<const Key*> all = keys_with(token, inventory, half);
    leave_to_copies(all, key, objects.public_keys);
    leave_to_copies(all, key, objects.certificates);
  }
  if (key.id.empty()) return objects;
  check_all_read(token, key, CKO_PUBLIC_KEY, inventory.public_keys);
  check_all_read(token, key, CKO_CERTIFICATE, inventory.certificates);
  return objects;
}

}  // namespace hsmith::tokens
