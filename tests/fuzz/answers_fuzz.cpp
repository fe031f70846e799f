// A module whose answers are the input: lengths, counts, codes and bytes. Nothing it says may do
// harm. The module is answers_module.cpp, at the path in HSMITH_ANSWERS_MODULE.
#include <cstdlib>
#include <dlfcn.h>

#include "src/base/error.h"
#include "tokens/keys.h"

using Feed = void (*)(const unsigned char*, std::size_t);

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace hsmith;
  static const char* path = std::getenv("HSMITH_ANSWERS_MODULE");
  static void* library = path != nullptr ? dlopen(path, RTLD_NOW) : nullptr;
  if (library == nullptr) std::abort();
  static const auto feed = reinterpret_cast<Feed>(dlsym(library, "hsmith_answers"));
  feed(data, size);
  try {
    tokens::OpenToken token;
    token.module = pkcs11::Module::load({path, "", nullptr});
    for (const CK_SLOT_ID slot : token.module->slots(CK_TRUE)) {
      token.slot = slot;
      token.info = token.module->token_info(slot);
      token.session = pkcs11::Session::open(token.module, slot, pkcs11::Access::read_only);
      const tokens::Inventory inventory = tokens::take_inventory(token);
      for (const tokens::Key& key : inventory.private_keys) tokens::objects_of(inventory, key);
      break;
    }
  } catch (const Error&) {
  }
  return 0;
}
