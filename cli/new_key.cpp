#include "cli/new_key.h"

#include <fmt/format.h>

namespace hsmith::cli {

void remove_new_key(const tokens::OpenToken& token, const tokens::Key& key, const Error& error,
                    const std::function<void()>& first) {
  try {
    first();
    tokens::destroy(token, tokens::objects_of(tokens::take_inventory(token), key));
  } catch (const Error& second) {
    throw Error(error.kind(), fmt::format("{}; the new key {} could not be removed: {}",
                                          error.what(), key.uri, second.what()))
        .ckr(error.ckr())
        .hint("see what is left with hsmith doctor, settle it with: hsmith doctor --repair")
        .unfinished();
  }
  // Whatever the failure left undone went with the key.
  throw Error(error.kind(), error.what()).ckr(error.ckr()).hint(error.hint());
}

std::set<tokens::Use> uses_of_key_usage(const std::vector<std::string>& key_usage,
                                        ossl::KeyAlgorithm algorithm) {
  std::set<tokens::Use> uses;
  for (const std::string& usage : key_usage) {
    const bool encipherment = usage == "keyEncipherment" || usage == "dataEncipherment";
    if (encipherment && algorithm == ossl::KeyAlgorithm::rsa) uses.insert(tokens::Use::decrypt);
    if (usage == "keyAgreement" && algorithm == ossl::KeyAlgorithm::ec)
      uses.insert(tokens::Use::derive);
    if (usage == "digitalSignature" || usage == "nonRepudiation" || usage == "keyCertSign" ||
        usage == "cRLSign")
      uses.insert(tokens::Use::sign);
  }
  return uses;
}

}  // namespace hsmith::cli
