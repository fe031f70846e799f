// Making a key: refuse before, read back after, clean up when it failed.
#include <algorithm>
#include <fmt/format.h>

#include "pkcs11/names.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/accepted_template.h"
#include "tokens/import.h"
#include "tokens/key_series.h"
#include "tokens/keys.h"
#include "tokens/made_key.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"
#include "tokens/token_key.h"

namespace hsmith::tokens {
namespace {

using pkcs11::KeyPair;
using pkcs11::Template;

// The id, where it was not known before. The private key's is read back with all else.
void give_identity(const OpenToken& token, const KeyPair& pair, const Bytes& new_id,
                   EVP_PKEY* public_key) {
  if (!new_id.empty()) {
    set_id(token, pair.public_key, new_id);
    token.session->set(pair.private_key, Template().set(CKA_ID, new_id));
  }
  keep_public_key(token, pair.private_key, public_key);
}

// As find_again, among objects that are known, without a search.
Key read_next(const OpenToken& token, const KeySpec& spec, const KeyPair& pair, const Bytes& id,
              Occupied& there) {
  Key key = read_key(token, pair.private_key, CKO_PRIVATE_KEY);
  if (key.id != id) {
    throw Error(Kind::token_failed,
                fmt::format("the token did not keep the id {} of its private key", hex(id)));
  }
  if (key.label != spec.label && !token_quirks(token.info).fixed_labels) {
    throw Error(Kind::token_failed,
                fmt::format("the token gave it the label {}", quoted(key.label)));
  }
  if (!there.ids.insert(key.id).second)
    throw Error(Kind::token_failed, "another object has its id");
  there.handles.insert(there.handles.end(), {pair.private_key, pair.public_key});
  there.labels.insert(key.label);
  return key;
}

std::vector<std::string> notes_on(const Key& key, const KeySpec& spec, Leaving leaving) {
  std::vector<std::string> notes;
  const auto claim = [&](Claim claimed, bool wanted, const char* name) {
    if (wanted && claimed != true)
      notes.push_back(fmt::format("the token does not claim {} of the key", name));
  };
  claim(key.sensitive, true, "CKA_SENSITIVE");
  claim(key.always_sensitive, true, "CKA_ALWAYS_SENSITIVE");
  claim(key.never_extractable, leaving == Leaving::never, "CKA_NEVER_EXTRACTABLE");
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

struct MadePair {
  KeyPair pair;
  std::vector<std::string> notes;
};

// By the pair's templates, without what the token does not know.
MadePair generate_pair(const OpenToken& token, const KeySpec& spec, Leaving leaving,
                       Making& making) {
  Template public_key = public_key_template(spec);
  Template private_key = private_key_template(spec);
  if (leaving == Leaving::under_trusted_keys) private_key = for_backup(std::move(private_key));
  for (const CK_ATTRIBUTE_TYPE unknown : token_quirks(token.info).unknown_attributes) {
    public_key.leave_out(unknown);
    private_key.leave_out(unknown);
  }
  if (token_quirks(token.info).rsa_signs_by_decrypting &&
      spec.type->algorithm == ossl::KeyAlgorithm::rsa)
    private_key.leave_out(CKA_DECRYPT).set_bool(CKA_DECRYPT, true);
  const auto make = [&](const pkcs11::Session& session, std::span<const Template> templates) {
    const KeyPair pair =
        session.generate_pair(generation_mechanism(*spec.type), templates[0], templates[1]);
    return std::vector{pair.public_key, pair.private_key};
  };
  try {
    const Accepted made = make_as_accepted(token, {public_key, private_key}, make,
                                           [&] { remove_leftovers(token, making, spec); });
    making.made = made.objects;
    return {{made.objects[0], made.objects[1]}, made.notes};
  } catch (const Error& error) {
    if (error.ckr().empty() || error.ckr() != token_quirks(token.info).refuses_type) throw;
    throw Error(Kind::unsupported,
                fmt::format("it makes no keys of type {} ({})", spec.type->name, error.what()))
        .ckr(error.ckr())
        .hint("what it can do: hsmith token info");
  }
}

Generated generate_and_check(const OpenToken& token, const KeySpec& spec, Leaving leaving,
                             Making& making, Occupied* there,
                             const std::function<void(EVP_PKEY*)>& made_it) {
  auto [pair, notes] = generate_pair(token, spec, leaving, making);
  const Key made = read_key(token, pair.public_key, CKO_PUBLIC_KEY);
  if (!made.public_key || ossl::key_type_name(made.public_key.get()) != spec.type->name) {
    throw Error(Kind::token_failed,
                fmt::format("the token made a key of type {}", type_name(made)));
  }
  if (made_it) made_it(made.public_key.get());
  const Bytes new_id = spec.id.empty() ? ossl::key_identifier(made.public_key.get()) : Bytes{};
  give_identity(token, pair, new_id, made.public_key.get());
  const Bytes& id = spec.id.empty() ? new_id : spec.id;
  Key key =
      there != nullptr ? read_next(token, spec, pair, id, *there) : find_again(token, spec, id);
  check_protection(token, key, leaving);
  // In a place there may be something left of another key.
  const bool compare = key.public_key || token_quirks(token.info).has_places();
  if (compare && !ossl::same_public_key(public_key_of(token, key).get(), made.public_key.get())) {
    throw Error(Kind::token_failed, "private and public key do not belong together");
  }
  key.public_key = made.public_key;
  for (std::string& note : notes_on(key, spec, leaving)) notes.push_back(std::move(note));
  return {std::move(key), std::move(notes)};
}

}  // namespace

void complete_identity(const OpenToken& token, const Key& private_key,
                       const std::vector<Key>& public_keys, EVP_PKEY* half) {
  const Bytes id = private_key.id.empty() ? ossl::key_identifier(half) : private_key.id;
  for (const Key& key : public_keys) {
    if (key.id != id) set_id(token, key.handle, id);
  }
  if (private_key.id != id) set_id(token, private_key.handle, id);
  keep_public_key(token, private_key.handle, half);
}

namespace {

std::string generation_of(const OpenToken& token, const KeySpec& spec) {
  return fmt::format("generate the key {} on the token {}", quoted(spec.label),
                     quoted(token.info.label));
}

Generated generate_leaving(const OpenToken& token, const KeySpec& spec, Leaving leaving,
                           const std::function<void(EVP_PKEY*)>& made_it) {
  const std::string doing = generation_of(token, spec);
  return made_or_removed(token, spec, doing, [&](Making& making) {
    return generate_and_check(token, spec, leaving, making, nullptr, made_it);
  });
}

}  // namespace

Generated generate(const OpenToken& token, const KeySpec& spec,
                   const std::function<void(EVP_PKEY*)>& made_it) {
  return generate_leaving(token, spec, Leaving::never, made_it);
}

Generated generate_next(const OpenToken& token, const KeySpec& spec, Occupied& there,
                        const std::function<void(EVP_PKEY*)>& made_it) {
  Making making{there.handles, {}};
  try {
    return generate_and_check(token, spec, Leaving::never, making, &there, made_it);
  } catch (const Error& error) {
    fail_without_leftovers(token, making, spec, generation_of(token, spec), error);
  }
}

Generated generate_for_backup(const OpenToken& token, const KeySpec& spec,
                              const std::function<void(EVP_PKEY*)>& made_it) {
  return generate_leaving(token, spec, Leaving::under_trusted_keys, made_it);
}

Generated replace(const OpenToken& token, const KeySpec& spec, const KeyObjects& old,
                  const std::function<void(EVP_PKEY*)>& made_it) {
  if (token_quirks(token.info).has_places()) return generate(token, spec, made_it);
  KeySpec beside = spec;  // the new key is whole before the old one goes
  beside.id.clear();
  Generated made = generate(token, beside, made_it);
  try {
    destroy(token, old);
    const KeyObjects objects = objects_of(take_inventory(token), made.key);
    for (const Key& key : objects.public_keys) set_id(token, key.handle, spec.id);
    set_id(token, made.key.handle, spec.id);
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

Generated import_and_check(const OpenToken& token, const KeySpec& spec, const EVP_PKEY* key,
                           EVP_PKEY* half, Making& making) {
  const auto create = [](const pkcs11::Session& session, std::span<const Template> templates) {
    return std::vector{session.create(templates.front())};
  };
  const auto create_private = [&](const pkcs11::Session& session,
                                  std::span<const Template> templates) {
    const PrivateTemplate whole = with_private_numbers(templates.front(), spec, key);
    return std::vector{session.create(whole.attributes)};
  };
  Accepted made = make_as_accepted(token, {unwrapped_private_key_template(spec)}, create_private,
                                   [&] { remove_leftovers(token, making, spec); });
  making.made = made.objects;
  const Accepted public_key =
      make_as_accepted(token, {imported_public_key_template(spec, half)}, create, [] {});
  making.made.push_back(public_key.objects.front());
  const Key beside = read_key(token, public_key.objects.front(), CKO_PUBLIC_KEY);
  if (!beside.public_key || !ossl::same_public_key(beside.public_key.get(), half) ||
      beside.id != spec.id)
    throw Error(Kind::token_failed, "the token did not keep the public key as it was sent");
  keep_public_key(token, made.objects.front(), half);
  made.notes.insert(made.notes.end(), public_key.notes.begin(), public_key.notes.end());
  return {find_and_prove(token, spec, Leaving::never, half), std::move(made.notes)};
}

}  // namespace

void check_takes_keys(const OpenToken& token) {
  const std::string_view other_way = token_quirks(token.info).takes_keys_by;
  if (other_way.empty()) return;
  throw Error(Kind::unsupported,
              fmt::format("put a key from outside on the token {}: its module takes none",
                          quoted(token.info.label)))
      .hint(fmt::format("the token's own way is: {}", other_way));
}

Generated import_key(const OpenToken& token, const KeySpec& spec, const EVP_PKEY* key,
                     const std::function<void(EVP_PKEY*)>& made_it) {
  const std::string doing = fmt::format("import the key {} to the token {}", quoted(spec.label),
                                        quoted(token.info.label));
  const ossl::PKey half = ossl::public_key_from_spki(ossl::spki_of(key));
  KeySpec named = spec;
  if (named.id.empty()) named.id = ossl::key_identifier(half.get());
  made_it(half.get());
  return made_or_removed(token, named, doing, [&](Making& making) {
    return import_and_check(token, named, key, half.get(), making);
  });
}

}  // namespace hsmith::tokens
