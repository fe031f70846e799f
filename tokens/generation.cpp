// Making a key: refuse before, read back after, clean up when it failed.
#include <algorithm>
#include <fmt/format.h>

#include "pkcs11/names.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/import.h"
#include "tokens/keys.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"
#include "tokens/token_key.h"

namespace hsmith::tokens {
namespace {

using pkcs11::KeyPair;
using pkcs11::Template;

constexpr std::size_t kMost = 1'000'000;

// What a generation that failed left on the token: objects that were not there before, with the
// new label or with none (SoftHSM 2.6.1 leaves one without a label). The label was free before,
// and the token is locked, so nobody else's object can have it.
void remove_leftovers(const OpenToken& token, std::span<const CK_OBJECT_HANDLE> before,
                      const KeySpec& spec) {
  if (quirks_of(token.info).keeps_keys) {
    Template place;
    place.set_number(CKA_CLASS, CKO_PRIVATE_KEY).set(CKA_ID, spec.id);
    if (token.session->find(place, 1).empty()) return;
    throw Error(Kind::token_failed, fmt::format("the id {} has a key, and it is not known whether "
                                                "it is the old or a new one",
                                                hex(spec.id)));
  }
  for (const CK_OBJECT_HANDLE handle : token.session->find({}, kMost)) {
    if (std::find(before.begin(), before.end(), handle) != before.end()) continue;
    static constexpr CK_ATTRIBUTE_TYPE kLabel[] = {CKA_LABEL};
    const std::string found = token.session->get(handle, kLabel).text(CKA_LABEL);
    if (found == spec.label || found.empty()) token.session->destroy(handle);
  }
  // A card that was pulled out still has, for OpenSC 0.23, the objects that were read before.
  token.module->token_info(token.slot);
}

// The public key beside the private one (PKCS#11 2.40, 4.9): a signature then needs no second
// object to be verified with. A convenience that not every token has.
void keep_public_key(const OpenToken& token, CK_OBJECT_HANDLE private_key, EVP_PKEY* half) {
  Template info;
  info.set(CKA_PUBLIC_KEY_INFO, ossl::spki_of(half));
  try {
    token.session->set(private_key, info);
  } catch (const Error& error) {
    if (error.kind() == Kind::token_removed) throw;
  }
}

// The id, where it was not known before.
void give_identity(const OpenToken& token, const KeyPair& pair, const Bytes& new_id,
                   EVP_PKEY* public_key) {
  if (!new_id.empty()) {
    Template identity;
    identity.set(CKA_ID, new_id);
    token.session->set(pair.public_key, identity);
    token.session->set(pair.private_key, identity);
  }
  keep_public_key(token, pair.private_key, public_key);
}

// True when the token hands out the private value.
bool is_readable(const OpenToken& token, const Key& key) {
  const CK_ATTRIBUTE_TYPE value[] = {key.type == CKK_RSA ? CKA_PRIVATE_EXPONENT : CKA_VALUE};
  return !Secret::take(token.session->get(key.handle, value).bytes(value[0])).empty();
}

// The key under the label and id that it was given, and only it. A label that the token gives of
// its own stays.
Key find_again(const OpenToken& token, const KeySpec& spec, const Bytes& id) {
  Template wanted;
  wanted.set_number(CKA_CLASS, CKO_PRIVATE_KEY).set(CKA_ID, id);
  const auto handles = token.session->find(wanted, 2);
  if (handles.size() != 1) {
    throw Error(Kind::token_failed,
                fmt::format("{} private keys have its id afterwards", handles.size()));
  }
  Key key = read_key(token, handles.front(), CKO_PRIVATE_KEY);
  if (key.label != spec.label && !quirks_of(token.info).fixed_labels) {
    throw Error(Kind::token_failed,
                fmt::format("the token gave it the label {}", quoted(key.label)));
  }
  return key;
}

std::vector<std::string> notes_on(const Key& key, const KeySpec& spec) {
  std::vector<std::string> notes;
  const auto claim = [&](Claim claimed, bool wanted, const char* name) {
    if (claimed != wanted)
      notes.push_back(fmt::format("the token does not claim {} of the key", name));
  };
  claim(key.sensitive, true, "CKA_SENSITIVE");
  claim(key.always_sensitive, true, "CKA_ALWAYS_SENSITIVE");
  claim(key.never_extractable, true, "CKA_NEVER_EXTRACTABLE");
  claim(key.local, true, "CKA_LOCAL");
  const auto more = [&](Claim may, Use use, const char* verb) {
    if (may == true && !spec.uses.contains(use))
      notes.push_back(fmt::format("the token lets the key {} too", verb));
  };
  more(key.sign, Use::sign, "sign");
  more(key.decrypt, Use::decrypt, "decrypt");
  more(key.derive, Use::derive, "derive");
  if (key.unwrap == true) notes.emplace_back("the token lets the key unwrap too");
  if (key.label != spec.label) {
    notes.push_back(
        fmt::format("the token gives its keys labels of its own, not {}: name this one id:{} or {}",
                    quoted(spec.label), hex(key.id), quoted(key.label)));
  }
  if (key.always_authenticate)
    notes.emplace_back("the token wants the PIN anew for each use of the key");
  return notes;
}

// The pair's templates, without what the token does not know.
KeyPair generate_pair(const OpenToken& token, const KeySpec& spec) {
  Template public_key = public_key_template(spec);
  Template private_key = private_key_template(spec);
  for (const CK_ATTRIBUTE_TYPE unknown : quirks_of(token.info).unknown_attributes) {
    public_key.leave_out(unknown);
    private_key.leave_out(unknown);
  }
  if (quirks_of(token.info).rsa_signs_by_decrypting &&
      spec.type->algorithm == ossl::KeyAlgorithm::rsa)
    private_key.leave_out(CKA_DECRYPT).set_bool(CKA_DECRYPT, true);
  try {
    return token.session->generate_pair(generation_mechanism(*spec.type), public_key, private_key);
  } catch (const Error& error) {
    if (error.ckr().empty() || error.ckr() != quirks_of(token.info).refuses_type) throw;
    throw Error(Kind::unsupported,
                fmt::format("it makes no keys of type {} ({})", spec.type->name, error.what()))
        .ckr(error.ckr())
        .hint("what it can do: hsmith token info");
  }
}

Generated generate_and_check(const OpenToken& token, const KeySpec& spec,
                             const std::function<void(EVP_PKEY*)>& made_it) {
  const KeyPair pair = generate_pair(token, spec);
  const Key made = read_key(token, pair.public_key, CKO_PUBLIC_KEY);
  if (!made.public_key || ossl::key_type_name(made.public_key.get()) != spec.type->name) {
    throw Error(Kind::token_failed,
                fmt::format("the token made a key of type {}", type_name(made)));
  }
  if (made_it) made_it(made.public_key.get());
  const Bytes new_id = spec.id.empty() ? ossl::key_identifier(made.public_key.get()) : Bytes{};
  give_identity(token, pair, new_id, made.public_key.get());
  Key key = find_again(token, spec, spec.id.empty() ? new_id : spec.id);
  if (key.extractable == true || is_readable(token, key)) {
    throw Error(Kind::token_failed, "the token made it extractable or readable; it was destroyed");
  }
  // In a place there may be something left of another key.
  const bool compare = key.public_key || quirks_of(token.info).has_places();
  if (compare && !ossl::same_public_key(public_key_of(token, key).get(), made.public_key.get())) {
    throw Error(Kind::token_failed, "private and public key do not belong together");
  }
  key.public_key = made.public_key;
  std::vector<std::string> notes = notes_on(key, spec);
  return {std::move(key), std::move(notes)};
}

}  // namespace

void complete_identity(const OpenToken& token, const Key& private_key,
                       const std::vector<Key>& public_keys, EVP_PKEY* half) {
  const Bytes id = private_key.id.empty() ? ossl::key_identifier(half) : private_key.id;
  Template identity;
  identity.set(CKA_ID, id);
  for (const Key& key : public_keys) {
    if (key.id != id) token.session->set(key.handle, identity);
  }
  if (private_key.id != id) token.session->set(private_key.handle, identity);
  keep_public_key(token, private_key.handle, half);
  if (read_key(token, private_key.handle, CKO_PRIVATE_KEY).id != id) {
    throw Error(Kind::token_failed,
                fmt::format("give {} its id: the token did not keep it", private_key.uri));
  }
}

Generated generate(const OpenToken& token, const KeySpec& spec,
                   const std::function<void(EVP_PKEY*)>& made_it) {
  const std::string doing = fmt::format("generate the key {} on the token {}", quoted(spec.label),
                                        quoted(token.info.label));
  const auto before = while_doing(doing, [&] { return token.session->find({}, kMost); });
  try {
    return generate_and_check(token, spec, made_it);
  } catch (const Error& error) {
    try {
      remove_leftovers(token, before, spec);
    } catch (const Error& second) {
      throw Error(error.kind(), fmt::format("{}: {}; what was begun could not be removed: {}",
                                            doing, error.what(), second.what()))
          .ckr(error.ckr())
          .hint("see what is left with hsmith doctor, remove it with: hsmith doctor --repair")
          .unfinished();
    }
    throw error.during(doing);
  }
}

Generated replace(const OpenToken& token, const KeySpec& spec, const KeyObjects& old,
                  const std::function<void(EVP_PKEY*)>& made_it) {
  if (quirks_of(token.info).has_places()) return generate(token, spec, made_it);
  KeySpec beside = spec;  // the new key is whole before the old one goes
  beside.id.clear();
  Generated made = generate(token, beside, made_it);
  try {
    destroy(token, old);
    const KeyObjects objects = objects_of(take_inventory(token), made.key);
    Template identity;
    identity.set(CKA_ID, spec.id);
    for (const Key& key : objects.public_keys) token.session->set(key.handle, identity);
    token.session->set(made.key.handle, identity);
    Key key = find_again(token, spec, spec.id);
    key.public_key = made.key.public_key;
    return {std::move(key), std::move(made.notes)};
  } catch (const Error& error) {
    throw error.during(fmt::format("put {} in the place of {}", made.key.uri, old.private_key.uri))
        .hint("see both with hsmith doctor, settle it with: hsmith doctor --repair")
        .unfinished();
  }
}

namespace {

Key import_and_check(const OpenToken& token, const KeySpec& spec, const EVP_PKEY* key,
                     EVP_PKEY* half) {
  KeyPair pair;
  pair.private_key = token.session->create(imported_private_key_template(spec, key).attributes);
  pair.public_key = token.session->create(imported_public_key_template(spec, half));
  keep_public_key(token, pair.private_key, half);
  Key found = find_again(token, spec, spec.id);
  if (found.extractable == true || is_readable(token, found))
    throw Error(Kind::token_failed, "the token keeps it extractable or readable; it was destroyed");
  if (!holds_private_half(token, found, half))
    throw Error(Kind::token_failed, "what the token does with it is not the key's work");
  found.public_key = {ossl::share(half).release(), EVP_PKEY_free};
  return found;
}

}  // namespace

Key import_key(const OpenToken& token, const KeySpec& spec, const EVP_PKEY* key,
               const std::function<void(EVP_PKEY*)>& made_it) {
  const std::string doing = fmt::format("import the key {} to the token {}", quoted(spec.label),
                                        quoted(token.info.label));
  const ossl::PKey half = ossl::public_key_from_spki(ossl::spki_of(key));
  KeySpec named = spec;
  if (named.id.empty()) named.id = ossl::key_identifier(half.get());
  const auto before = while_doing(doing, [&] { return token.session->find({}, kMost); });
  made_it(half.get());
  try {
    return import_and_check(token, named, key, half.get());
  } catch (const Error& error) {
    try {
      remove_leftovers(token, before, named);
    } catch (const Error& second) {
      throw Error(error.kind(), fmt::format("{}: {}; what was begun could not be removed: {}",
                                            doing, error.what(), second.what()))
          .ckr(error.ckr())
          .hint("see what is left with: hsmith key list")
          .unfinished();
    }
    throw error.during(doing);
  }
}

}  // namespace hsmith::tokens
