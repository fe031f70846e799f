#include "cli/key_repair.h"

#include <algorithm>
#include <fmt/format.h>

#include "cli/certificate_repair.h"
#include "cli/changes.h"
#include "cli/key_remains.h"
#include "cli/pending.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "tokens/certificates.h"
#include "tokens/keys.h"
#include "tokens/made_key.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"
#include "tokens/token_key.h"
#include "tokens/whole_key.h"

namespace hsmith::cli {
namespace {

using tokens::Inventory;
using tokens::Key;
using tokens::OpenToken;
using tokens::TokenCertificate;

// True of a key that is made able to sign only for its own request.
bool may_not_sign(const journal::Entry& entry) {
  const auto found = entry.intent.facts.find("may_sign");
  return found != entry.intent.facts.end() && *found == false;
}

Repaired delete_private(const OpenToken& token, const Inventory& inventory, const Key& key,
                        const Context& context, const std::string& why) {
  if (tokens::token_quirks(token.info).keeps_keys) {
    return {true, fmt::format("{}, and the token cannot delete {}: make another in its place with "
                              "hsmith key generate --login-as so --replace {}",
                              why, key.uri, hex(key.id))};
  }
  const tokens::KeyObjects objects = tokens::objects_of(inventory, key);
  if (!objects.certificates.empty())
    return {true, fmt::format("{} has a certificate and stays", key.uri)};
  if (!context.options.yes)
    return {false, fmt::format("{}; to delete {} run: hsmith doctor --repair --yes", why, key.uri)};
  tokens::destroy(token, objects);
  return {true, fmt::format("deleted {}: {}", key.uri, why)};
}

// The private key on the token, whatever its name, that holds one of these public keys or the
// entry's own.
std::optional<Key> holder_of(const OpenToken& token, const Inventory& inventory,
                             const journal::Entry& entry, const std::vector<Key>& public_keys) {
  std::vector<ossl::PKey> halves;
  const auto known = parse_hex(fact(entry, "public_key")).value_or(Bytes{});
  if (!known.empty()) halves.push_back(ossl::public_key_from_spki(known));
  for (const Key& key : public_keys) {
    if (key.public_key) halves.push_back(ossl::share(key.public_key.get()));
  }
  for (const Key& key : inventory.private_keys) {
    const bool holds = std::any_of(halves.begin(), halves.end(), [&](const ossl::PKey& half) {
      if (key.public_key) return ossl::same_public_key(key.public_key.get(), half.get());
      return tokens::holds_private_half(token, key, half.get());
    });
    if (holds) return key;
  }
  return std::nullopt;
}

// True of an object that could not be read, and is not known to be no private key.
bool may_be_private(const OpenToken& token, const tokens::BrokenObject& broken) {
  if (broken.object_class != CKO_PRIVATE_KEY && broken.object_class != CK_UNAVAILABLE_INFORMATION)
    return false;
  try {
    return !tokens::is_half_written(token, broken.handle, CKO_PRIVATE_KEY);
  } catch (const Error&) {
    return true;
  }
}

// What goes with a private key that is not there by its name stays where the key is there by
// another one, or may be what cannot be read.
std::optional<Repaired> still_needed(const OpenToken& token, const Inventory& inventory,
                                     const journal::Entry& entry,
                                     const std::vector<Key>& public_keys,
                                     const std::vector<TokenCertificate>& certificates) {
  if (const auto key = holder_of(token, inventory, entry, public_keys))
    return Repaired{true, fmt::format("the key is {} now, and stays", key->uri)};
  if (public_keys.empty() && certificates.empty()) return std::nullopt;
  for (const tokens::BrokenObject& broken : inventory.broken) {
    if (!may_be_private(token, broken)) continue;
    return Repaired{false, fmt::format("object {} cannot be read, and may be its private key: {}{}",
                                       broken.handle, broken.reason, or_delete(entry))};
  }
  return std::nullopt;
}

// A certificate is destroyed first, and still there only where the token said otherwise.
std::vector<TokenCertificate> certificates_left(const Inventory& inventory,
                                                const journal::Entry& entry) {
  const Json meant = entry.intent.facts.value("certificates", Json::array());
  std::vector<TokenCertificate> left;
  for (const TokenCertificate& one : inventory.certificates) {
    if (std::find(meant.begin(), meant.end(), hex(one.der)) != meant.end()) left.push_back(one);
  }
  return left;
}

// Those that the journal knows only by what they are want consent, as private keys do. `nothing` is
// told where there is none and `text`, what was deleted before, is empty.
Repaired delete_public(const OpenToken& token, const std::vector<Key>& keys,
                       const journal::Entry& entry, const Context& context, std::string text,
                       const std::string& nothing) {
  if (!keys.empty() && fact(entry, "public_key").empty() && !context.options.yes) {
    return {false,
            fmt::format("the private key of {} is not there; to delete it run: hsmith doctor "
                        "--repair --yes",
                        keys.front().uri)};
  }
  for (const Key& key : keys) {
    token.session->destroy(key.handle);
    text += fmt::format("{}deleted {}: its private key is not there", text.empty() ? "" : "; ",
                        key.uri);
  }
  return {true, text.empty() ? nothing : text};
}

// The key of the entry and what is left of it; `nothing` is told where nothing is.
Repaired take_away(const OpenToken& token, const journal::Entry& entry, const Context& context,
                   Whole whole, const char* why, const char* nothing) {
  const Inventory inventory = tokens::take_inventory(token);
  const Remains remains = remains_of(token, inventory, entry, whole);
  if (const auto stop = ambiguous(remains, entry)) return *stop;
  if (!remains.private_keys.empty())
    return delete_private(token, inventory, remains.private_keys.front(), context, why);
  std::vector<TokenCertificate> certificates;
  if (whole == Whole::yes) certificates = certificates_left(inventory, entry);
  if (const auto stop = still_needed(token, inventory, entry, remains.public_keys, certificates))
    return *stop;
  std::string text;
  for (const TokenCertificate& one : certificates) {
    tokens::destroy(token, one);
    text += fmt::format("{}deleted {}", text.empty() ? "" : "; ", one.uri);
  }
  return delete_public(token, remains.public_keys, entry, context, text, nothing);
}

// The id of the key that a new one was to replace, and is to get.
std::optional<Bytes> replaced_id(const journal::Entry& entry) {
  const auto found = entry.intent.facts.find("replaces");
  if (found == entry.intent.facts.end() || !found->is_object()) return std::nullopt;
  const auto id = parse_hex(found->value("id", ""));
  return id && !id->empty() ? id : std::nullopt;
}

// The URI of what has that id beside the new key: the other key or what went with it.
std::optional<std::string> replaced_object(const Inventory& inventory, const Bytes& id,
                                           EVP_PKEY* made) {
  for (const Key& key : inventory.private_keys) {
    if (key.id != id) continue;
    try {
      if (!ossl::same_public_key(tokens::public_key_of(inventory, key).get(), made)) return key.uri;
    } catch (const Error&) {  // without a public half it is not known to be the new one
      return key.uri;
    }
  }
  for (const Key& key : inventory.public_keys) {
    const bool is_its = key.public_key && ossl::same_public_key(key.public_key.get(), made);
    if (key.id == id && !is_its) return key.uri;
  }
  for (const TokenCertificate& certificate : inventory.certificates) {
    if (certificate.id == id) return certificate.uri;
  }
  return std::nullopt;
}

// Gives the pair the id, and reads it back: the public half first, as its making does.
void give_id(const OpenToken& token, const Bytes& id, Key& key, std::vector<Key>& public_keys) {
  for (Key& half : public_keys) {
    if (half.id != id) tokens::set_id(token, half.handle, id);
    half.id = id;
  }
  if (key.id != id) tokens::set_id(token, key.handle, id);
  key.id = id;
}

// True when something else on the token than these objects has the label.
bool has_another(const OpenToken& token, const tokens::KeyObjects& objects,
                 const std::string& label) {
  std::vector<CK_OBJECT_HANDLE> own{objects.private_key.handle};
  for (const Key& key : objects.public_keys) own.push_back(key.handle);
  for (const auto& certificate : objects.certificates) own.push_back(certificate.handle);
  const auto found =
      token.session->find(pkcs11::Template().set_text(CKA_LABEL, label), own.size() + 1);
  return std::any_of(found.begin(), found.end(), [&](CK_OBJECT_HANDLE handle) {
    return std::find(own.begin(), own.end(), handle) == own.end();
  });
}

// Some cards give a new key its id themselves, and then it is not told from another of its label.
std::string nothing_but_namesakes(const Inventory& inventory, const journal::Entry& entry) {
  std::string text = "nothing was made";
  for (const Key& key : inventory.private_keys) {
    if (key.label == fact(entry, "label")) text += fmt::format(", unless it is {}", key.uri);
  }
  return text;
}

}  // namespace

Repaired repair_generation(const OpenToken& token, const journal::Entry& entry,
                           const Context& context) {
  const Inventory inventory = tokens::take_inventory(token);
  Remains remains = remains_of(token, inventory, entry, Whole::no);
  if (const auto stop = ambiguous(remains, entry)) return *stop;
  if (remains.private_keys.empty()) {
    if (const auto stop = still_needed(token, inventory, entry, remains.public_keys, {}))
      return *stop;
    return delete_public(token, remains.public_keys, entry, context, "",
                         nothing_but_namesakes(inventory, entry));
  }
  if (remains.public_keys.size() > 1) return several(entry);
  Key& key = remains.private_keys.front();
  // A private RSA key knows its public half, but other programs look for the object.
  EVP_PKEY* half =
      remains.public_keys.empty() ? nullptr : remains.public_keys.front().public_key.get();
  if (half == nullptr)
    return delete_private(token, inventory, key, context, "it has no public half");
  if (!tokens::holds_private_half(token, key, half)) {
    if (fact(entry, "public_key").empty())
      return in_doubt({key.uri, remains.public_keys.front().uri}, entry);
    return delete_private(token, inventory, key, context, "its public half is another key's");
  }
  // First: of a pair that has its id in part only its public key tells that it is one.
  journal::Intent more = entry.intent;
  more.facts["public_key"] = hex(ossl::spki_of(half));
  journal::update(entry.file, more);
  const auto id = replaced_id(entry);
  const auto old = id ? replaced_object(inventory, *id, half) : std::nullopt;
  if (id && !old) give_id(token, *id, key, remains.public_keys);
  tokens::complete_identity(token, key, remains.public_keys, half);
  if (may_not_sign(entry)) tokens::forbid_signing(token, key);
  const std::string request = fact(entry, "request");
  const std::string whole = fmt::format("the key {} is whole", quoted(key.label));
  if (old)
    return {true, fmt::format("{}; {}, which it was to replace, is still there", whole, *old)};
  if (request.empty()) return {true, whole};
  return {true,
          fmt::format("the key {} is whole; if its request was not written: hsmith request new {}",
                      quoted(key.label), shell_word(key.label))};
}

Repaired repair_archival(const OpenToken& token, const journal::Entry& entry, Context& context) {
  const std::string request = fact(entry, "request");
  if (request != "-" && std::filesystem::exists(request)) {
    return {true, fmt::format("the key {} is whole, and its request is in {}",
                              quoted(fact(entry, "label")), quoted(request))};
  }
  Repaired repaired = repair_unused_key(token, entry, context);
  const auto half = parse_hex(fact(entry, "public_key"));
  if (repaired.settled && half)
    forget_request(context.environment.state_folder, ossl::public_key_from_spki(*half).get());
  return repaired;
}

Repaired repair_request(const OpenToken& token, const journal::Entry& entry) {
  const auto id = parse_hex(fact(entry, "id")).value_or(Bytes{});
  const Inventory inventory = tokens::take_inventory(token);
  for (const Key& key : inventory.private_keys) {
    if (key.id != id || key.label != fact(entry, "label")) continue;
    const std::string now = public_key_fact(inventory, key);
    const std::string then = fact(entry, "public_key");
    if (now.empty() || then.empty()) {
      return {false, fmt::format("whether {} is the key that was made able to sign is not known; "
                                 "look whether it may sign: hsmith key show {}",
                                 key.uri, shell_word(key.uri))};
    }
    if (now != then) continue;
    if (may_not_sign(entry)) tokens::forbid_signing(token, key);
    return {true, fmt::format("{} is as it was; if its request was not written: hsmith request "
                              "new {}",
                              key.uri, shell_word(key.label))};
  }
  return {true, "the key is no longer there"};
}

Repaired repair_wrapping_key(const OpenToken& token, const journal::Entry& entry) {
  for (const Key& key : tokens::take_inventory(token).secret_keys) {
    if (key.label == fact(entry, "label") && hex(key.id) == fact(entry, "id"))
      return {true, fmt::format("the wrapping key {} is whole", key.uri)};
  }
  return {true, "nothing was made"};
}

Repaired repair_rename(const OpenToken& token, const journal::Entry& entry) {
  const Inventory inventory = tokens::take_inventory(token);
  const auto id = parse_hex(fact(entry, "id")).value_or(Bytes{});
  const std::string from = fact(entry, "from");
  const std::string to = fact(entry, "to");
  const auto known = parse_hex(fact(entry, "public_key")).value_or(Bytes{});
  if (known.empty())
    return {true, "nothing is half done: a key without its public half is one object"};
  const ossl::PKey half = ossl::public_key_from_spki(known);
  for (Key key : inventory.private_keys) {
    if (key.id != id || (key.label != from && key.label != to)) continue;
    const std::string its = public_key_fact(inventory, key);
    // Where a key has no id, its public half may have the new label already, and is not found by
    // it.
    const bool is_its = its.empty() ? tokens::holds_private_half(token, key, half.get())
                                    : its == fact(entry, "public_key");
    if (!is_its) continue;
    key.public_key = {ossl::share(half.get()).release(), EVP_PKEY_free};
    const tokens::KeyObjects objects = tokens::whole_key(token, inventory, key);
    if (has_another(token, objects, to))
      return {false, fmt::format("another object has the label {} by now: give one of the two "
                                 "another name (hsmith key rename URI NEW){}",
                                 quoted(to), or_delete(entry))};
    tokens::rename(token, objects, to);
    return {true, fmt::format("the key and what goes with it have the label {}", quoted(to))};
  }
  return {true, "the key is no longer there"};
}

Repaired repair_deletion(const OpenToken& token, const journal::Entry& entry,
                         const Context& context) {
  return take_away(token, entry, context, Whole::yes, "its deletion was interrupted",
                   "the deletion is complete");
}

Repaired repair_unused_key(const OpenToken& token, const journal::Entry& entry,
                           const Context& context) {
  return take_away(token, entry, context, Whole::no, "what it was made for was interrupted",
                   "nothing was made");
}

Repaired repair_import(const OpenToken& token, const journal::Entry& entry,
                       const Context& context) {
  Repaired made = repair_generation(token, entry, context);
  const Json certificates = entry.intent.facts.value("certificates", Json::array());
  for (const auto& one : certificates) {
    const Inventory inventory = tokens::take_inventory(token);
    const Remains remains = remains_of(token, inventory, entry, Whole::no);
    const auto der = one.is_string() ? parse_hex(one.get<std::string>()) : std::nullopt;
    if (!made.settled || remains.private_keys.size() != 1 || !der) break;
    const Key& key = remains.private_keys.front();
    delete_half_made(token, *der, key.id, {key.label});
    const ossl::Certificate certificate = x509::certificate_from_der(*der, "the journal");
    tokens::install(token, tokens::take_inventory(token), key, certificate.get());
    made.text += fmt::format("; the certificate of {} is installed", key.uri);
  }
  return made;
}

}  // namespace hsmith::cli
