#include "tokens/whole_key.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/error.h"
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

}  // namespace

KeyObjects whole_key(const OpenToken& token, const Inventory& inventory, const Key& key) {
  KeyObjects objects = objects_of(inventory, key);
  if (key.object_class == CKO_SECRET_KEY || key.id.empty()) return objects;
  check_all_read(token, key, CKO_PUBLIC_KEY, inventory.public_keys);
  check_all_read(token, key, CKO_CERTIFICATE, inventory.certificates);
  return objects;
}

}  // namespace hsmith::tokens
