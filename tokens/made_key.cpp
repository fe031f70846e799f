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

namespace {

bool contains(const std::vector<CK_OBJECT_HANDLE>& handles, CK_OBJECT_HANDLE handle) {
  return std::find(handles.begin(), handles.end(), handle) != handles.end();
}

// Whose an object is that came while a key was made.
enum class Origin { ours, others, unknown };

Origin origin_of(const OpenToken& token, CK_OBJECT_HANDLE handle, const KeySpec& spec) {
  static constexpr CK_ATTRIBUTE_TYPE kNames[] = {CKA_CLASS, CKA_LABEL};
  const pkcs11::Attributes is = token.session->get(handle, kNames);
  const auto object_class = is.number(CKA_CLASS);
  const std::string label = is.text(CKA_LABEL);
  const bool is_key = object_class == CKO_PRIVATE_KEY || object_class == CKO_PUBLIC_KEY ||
                      object_class == CKO_SECRET_KEY;
  if (!is_key || (!label.empty() && label != spec.label)) return Origin::others;
  if (is_half_written(token, handle, *object_class)) return Origin::ours;
  const Key key = read_key(token, handle, *object_class);
  const bool has_name = !label.empty() || !key.id.empty();
  const bool has_id = key.id.empty() || key.id == spec.id;
  return has_name && has_id && type_name(key) == spec.type->name ? Origin::ours : Origin::unknown;
}

}  // namespace

std::size_t remove_leftovers(const OpenToken& token, const Making& making, const KeySpec& spec) {
  if (token_quirks(token.info).keeps_keys) {
    pkcs11::Template place;
    place.set_number(CKA_CLASS, CKO_PRIVATE_KEY).set(CKA_ID, spec.id);
    if (token.session->find(place, 1).empty()) return 0;
    throw Error(Kind::token_failed, fmt::format("the id {} has a key, and it is not known whether "
                                                "it is the old or a new one",
                                                hex(spec.id)));
  }
  std::size_t removed = 0;
  bool is_all = true;
  for (const CK_OBJECT_HANDLE handle : all_objects(token)) {
    if (contains(making.before, handle)) continue;
    const Origin origin =
        contains(making.made, handle) ? Origin::ours : origin_of(token, handle, spec);
    if (origin == Origin::unknown) is_all = false;
    if (origin != Origin::ours) continue;
    token.session->destroy(handle);
    ++removed;
  }
  if (is_all) return removed;
  throw Error(Kind::token_failed, "a key came meanwhile that may be another program's, and stays");
}

void fail_without_leftovers(const OpenToken& token, const Making& making, const KeySpec& spec,
                            const std::string& doing, const Error& error) {
  constexpr char kRepair[] =
      "see what is left with hsmith doctor, remove it with: hsmith doctor --repair";
  std::size_t removed = 0;
  try {
    removed = remove_leftovers(token, making, spec);
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
