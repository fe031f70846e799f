#include "tokens/made_key.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/text.h"
#include "tokens/quirks.h"
#include "tokens/token_key.h"

namespace hsmith::tokens {

bool is_readable(const OpenToken& token, const Key& key) {
  const CK_ATTRIBUTE_TYPE value[] = {key.type == CKK_RSA ? CKA_PRIVATE_EXPONENT : CKA_VALUE};
  return !Secret::take(token.session->get(key.handle, value).bytes(value[0])).empty();
}

bool is_for_backup(const OpenToken& token, const Key& key) {
  static constexpr CK_ATTRIBUTE_TYPE kTrustedOnly[] = {CKA_WRAP_WITH_TRUSTED};
  return key.object_class == CKO_PRIVATE_KEY && key.extractable == true && key.sensitive == true &&
         token.session->get(key.handle, kTrustedOnly).flag(CKA_WRAP_WITH_TRUSTED) == true;
}

void check_protection(const OpenToken& token, const Key& key, Leaving leaving) {
  const bool for_backup = leaving == Leaving::under_trusted_keys;
  const bool as_asked = for_backup ? is_for_backup(token, key) : key.extractable != true;
  if (as_asked && !is_readable(token, key)) return;
  throw Error(Kind::token_failed,
              for_backup ? "the token made it readable, or not extractable under trusted keys "
                           "alone; it was destroyed"
                         : "the token made it extractable or readable; it was destroyed");
}

Key find_again(const OpenToken& token, const KeySpec& spec, const Bytes& id) {
  pkcs11::Template wanted;
  wanted.set_number(CKA_CLASS, CKO_PRIVATE_KEY).set(CKA_ID, id);
  const auto handles = token.session->find(wanted, 2);
  if (handles.size() != 1) {
    throw Error(Kind::token_failed,
                fmt::format("{} private keys have its id afterwards", handles.size()));
  }
  Key key = read_key(token, handles.front(), CKO_PRIVATE_KEY);
  if (key.id != id) {
    throw Error(
        Kind::token_failed,
        fmt::format("the token found it by its id, and says that this is \"{}\"", hex(key.id)));
  }
  if (key.label != spec.label && !token_quirks(token.info).fixed_labels) {
    throw Error(Kind::token_failed,
                fmt::format("the token gave it the label {}", quoted(key.label)));
  }
  return key;
}

Key find_and_prove(const OpenToken& token, const KeySpec& spec, Leaving leaving, EVP_PKEY* half) {
  Key found = find_again(token, spec, spec.id);
  check_protection(token, found, leaving);
  if (!holds_private_half(token, found, half))
    throw Error(Kind::token_failed, "what the token does with it is not the key's work");
  found.public_key = {ossl::share(half).release(), EVP_PKEY_free};
  return found;
}

void set_id(const OpenToken& token, CK_OBJECT_HANDLE object, const Bytes& id) {
  pkcs11::Template identity;
  identity.set(CKA_ID, id);
  token.session->set(object, identity);
  static constexpr CK_ATTRIBUTE_TYPE kId[] = {CKA_ID};
  if (token.session->get(object, kId).bytes(CKA_ID) == id) return;
  throw Error(Kind::token_failed, fmt::format("the token did not keep the id {}", hex(id)));
}

// PKCS#11 2.40, 4.9.
void keep_public_key(const OpenToken& token, CK_OBJECT_HANDLE private_key, EVP_PKEY* half) {
  pkcs11::Template info;
  info.set(CKA_PUBLIC_KEY_INFO, ossl::spki_of(half));
  try {
    token.session->set(private_key, info);
  } catch (const Error& error) {
    if (error.kind() == Kind::token_removed) throw;
  }
}

std::vector<CK_OBJECT_HANDLE> all_objects(const OpenToken& token) {
  return token.session->find({}, 1'000'000);
}

std::size_t remove_leftovers(const OpenToken& token, std::span<const CK_OBJECT_HANDLE> before,
                             const KeySpec& spec) {
  if (token_quirks(token.info).keeps_keys) {
    pkcs11::Template place;
    place.set_number(CKA_CLASS, CKO_PRIVATE_KEY).set(CKA_ID, spec.id);
    if (token.session->find(place, 1).empty()) return 0;
    throw Error(Kind::token_failed, fmt::format("the id {} has a key, and it is not known whether "
                                                "it is the old or a new one",
                                                hex(spec.id)));
  }
  std::size_t removed = 0;
  for (const CK_OBJECT_HANDLE handle : all_objects(token)) {
    if (std::find(before.begin(), before.end(), handle) != before.end()) continue;
    static constexpr CK_ATTRIBUTE_TYPE kLabel[] = {CKA_LABEL};
    const std::string found = token.session->get(handle, kLabel).text(CKA_LABEL);
    if (found != spec.label && !found.empty()) continue;
    token.session->destroy(handle);
    ++removed;
  }
  return removed;
}

void fail_without_leftovers(const OpenToken& token, std::span<const CK_OBJECT_HANDLE> before,
                            const KeySpec& spec, const std::string& doing, const Error& error) {
  constexpr char kRepair[] =
      "see what is left with hsmith doctor, remove it with: hsmith doctor --repair";
  std::size_t removed = 0;
  try {
    removed = remove_leftovers(token, before, spec);
  } catch (const Error& second) {
    throw Error(error.kind(), fmt::format("{}: {}; what was begun could not be removed: {}", doing,
                                          error.what(), second.what()))
        .ckr(error.ckr())
        .hint(kRepair)
        .unfinished();
  }
  if (removed == 0 && may_hide_leftovers(token.info, error)) {
    throw Error(error.kind(), fmt::format("{}: {}; what was begun may be on the card, where only "
                                          "the next run sees it",
                                          doing, error.what()))
        .ckr(error.ckr())
        .hint(kRepair)
        .unfinished();
  }
  throw error.during(doing);
}

}  // namespace hsmith::tokens
