#include "cli/key_remains.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

using tokens::Inventory;
using tokens::Key;
using tokens::OpenToken;

// False of a private key that may do something else than the entry's key was made for: hsmith says
// of each use whether it may.
bool is_used_as_in(const journal::Entry& entry, const OpenToken& token, const Key& key) {
  if (fact(entry, "use").empty()) return true;
  const tokens::TokenQuirks& quirks = tokens::token_quirks(token.info);
  const auto uses =
      tokens::parse_uses(fact(entry, "use"), ossl::key_type_named(fact(entry, "type")));
  const auto is = [&](tokens::Claim may, tokens::Use use) {
    return may.value_or(uses.contains(use)) == uses.contains(use);
  };
  return is(key.sign, tokens::Use::sign) && is(key.derive, tokens::Use::derive) &&
         (is(key.decrypt, tokens::Use::decrypt) || quirks.rsa_signs_by_decrypting) &&
         key.unwrap != true;
}

// True of an object that the token made itself, of the type that the entry's key was to have.
bool is_made_as_in(const journal::Entry& entry, const OpenToken& token, const Key& key) {
  if (tokens::type_name(key) != fact(entry, "type")) return false;
  const bool is_private = key.object_class == CKO_PRIVATE_KEY;
  if (is_private && !is_used_as_in(entry, token, key)) return false;
  if (tokens::token_quirks(token.info).never_local)
    return is_private && key.sensitive == true && key.always_sensitive != false;
  static constexpr CK_ATTRIBUTE_TYPE kLocal[] = {CKA_LOCAL};
  return token.session->get(key.handle, kLocal).flag(CKA_LOCAL) == true;
}

}  // namespace

Remains remains_of(const OpenToken& token, const Inventory& inventory, const journal::Entry& entry,
                   Whole whole) {
  const auto known = parse_hex(fact(entry, "public_key")).value_or(Bytes{});
  const ossl::PKey half = known.empty() ? nullptr : ossl::public_key_from_spki(known);
  const std::string label = fact(entry, "label");
  const tokens::TokenQuirks& quirks = tokens::token_quirks(token.info);
  const bool by_label = !quirks.fixed_labels;
  const bool by_id = !by_label || whole == Whole::yes;
  const auto id = parse_hex(fact(entry, "id")).value_or(Bytes{});
  const auto has_its_name = [&](const Key& key) {
    const bool may_have_none_yet = !by_id && (half || key.id.empty());
    return (may_have_none_yet || key.id == id) && (!by_label || key.label == label) &&
           (!half || !key.public_key || ossl::same_public_key(key.public_key.get(), half.get()));
  };
  const auto is_its_key = [&](const Key& key) {
    if (quirks.keeps_keys || !half || key.public_key) return true;
    try {
      return tokens::holds_private_half(token, key, half.get());
    } catch (const Error& error) {  // what was half written has its id, and cannot be used
      const bool half_written = whole == Whole::no && !id.empty() && key.id == id;
      if (error.kind() != Kind::token_failed || !half_written) throw;
      return true;
    }
  };
  Remains remains;
  const auto is_half_of_made = [&](const Key& key) {  // some say only of private keys: local
    return key.object_class == CKO_PUBLIC_KEY && key.public_key &&
           remains.private_keys.size() == 1 &&
           tokens::holds_private_half(token, remains.private_keys.front(), key.public_key.get());
  };
  const auto add = [&](const Key& key, std::vector<Key>& to) {
    const bool is_known =
        half || quirks.keeps_keys ||
        (whole == Whole::no && (is_made_as_in(entry, token, key) || is_half_of_made(key)));
    if (is_known) {
      to.push_back(key);
    } else {
      remains.in_doubt.push_back(key.uri);
    }
  };
  for (const Key& key : inventory.private_keys) {
    if (has_its_name(key) && is_its_key(key)) add(key, remains.private_keys);
  }
  for (const Key& key : inventory.public_keys) {
    if (has_its_name(key)) add(key, remains.public_keys);
  }
  return remains;
}

std::string or_delete(const journal::Entry& entry) {
  return fmt::format("; when nothing is amiss, delete {}", quoted(entry.file.string()));
}

Repaired in_doubt(const std::vector<std::string>& uris, const journal::Entry& entry) {
  return {false, fmt::format("the journal does not tell whether {} is what was begun, or another "
                             "program's: give it another name or delete it, and run this again{}",
                             fmt::join(uris, ", "), or_delete(entry))};
}

Repaired several(const journal::Entry& entry) {
  return {false, fmt::format("several keys have the label {}; delete what is too many: hsmith key "
                             "delete URI",
                             quoted(fact(entry, "label")))};
}

// Where a name stands for several keys, or for what may be another program's, none is touched:
// which one was meant is not known.
std::optional<Repaired> ambiguous(const Remains& remains, const journal::Entry& entry) {
  if (!remains.in_doubt.empty()) return in_doubt(remains.in_doubt, entry);
  if (remains.private_keys.size() > 1) return several(entry);
  return std::nullopt;
}

}  // namespace hsmith::cli
