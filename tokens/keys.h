// Keys on a token: found, listed, made, renamed and deleted.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pkcs11/session.h"
#include "src/ossl/algorithms.h"
#include "tokens/selector.h"
#include "tokens/templates.h"
#include "tokens/token.h"

namespace hsmith::tokens {

// What a token says of itself about a key: yes, no, or nothing.
using Claim = std::optional<bool>;

// One key object as the token described it at one moment. Texts are unescaped.
struct Key {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY;
  std::string label;
  Bytes id;
  std::optional<CK_KEY_TYPE> type;
  const ossl::KeyType* curve = nullptr;  // EC and Ed25519, when the curve is one of ours
  std::optional<CK_ULONG> value_size;    // AES, bytes
  Claim sign, decrypt, derive, wrap, unwrap;
  Claim sensitive, extractable, always_sensitive, never_extractable, local, modifiable;
  bool always_authenticate = false;
  std::string uri;
  // The public half where the object itself gives it (CKA_PUBLIC_KEY_INFO, or RSA's numbers);
  // shared because lists are copied.
  std::shared_ptr<EVP_PKEY> public_key;
};

// An object that could not be read, so that it does not hide the others.
struct BrokenObject {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  CK_OBJECT_CLASS object_class = 0;
  std::string reason;
};

struct TokenCertificate {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  std::string label;
  Bytes id;
  Bytes der;
  std::string uri;
};

// Everything on a token, read with one search a class and one call an object.
struct Inventory {
  std::vector<Key> private_keys;
  std::vector<Key> public_keys;
  std::vector<Key> secret_keys;
  std::vector<TokenCertificate> certificates;
  std::vector<BrokenObject> broken;
};
Inventory take_inventory(const OpenToken& token);

// The private key that the selector names: exactly one, or not_found / ambiguous with URIs.
Key find_one(const OpenToken& token, const Selector& selector);

// The public half of a private key: from the key itself, else from the public key object or the
// certificate that goes with it by id, or by label where it has no id. Throws not_found when the
// token has none, mismatch when two places disagree.
ossl::PKey public_key_of(const OpenToken& token, const Key& key);
// The same without asking the token again; not_found too where it may be another private key's.
ossl::PKey public_key_of(const Inventory& inventory, const Key& key);

// Throws exists when a label or an id is taken by any key or certificate; an empty id is not
// looked for. `other_way` follows the hint where it is the id that is taken.
void check_free(const OpenToken& token, const std::string& label, ByteView id,
                const std::string& other_way = "");

// Throws what is wrong with the key's id or the login for a token with places of its own
// (quirks.h): usage or login_failed; and unsupported when the token could not use such a key.
void check_place(const OpenToken& token, const KeySpec& spec);

struct Generated {
  Key key;
  std::vector<std::string> notes;  // what the token does not claim, or lets the key do besides
};
// Makes a pair, gives it its id, finds it again and reads its attributes: a key that is extractable
// or readable is destroyed and reported. Whatever a failed generation left behind is removed.
// `made_it` is told the public key as soon as there is one.
Generated generate(const OpenToken& token, const KeySpec& spec,
                   const std::function<void(EVP_PKEY*)>& made_it = {});

// Gives a pair its id (the SHA-1 of the public key) where it has none, for a pair whose generation
// was interrupted. Throws token_failed when the token does not keep it.
void complete_identity(const OpenToken& token, const Key& private_key,
                       const std::vector<Key>& public_keys, EVP_PKEY* half);

// The objects that go together with a private key: itself, its public key, its certificates; by
// public key, and where an object does not show it, by an id that no other private key has.
struct KeyObjects {
  Key private_key;
  std::vector<Key> public_keys;
  std::vector<TokenCertificate> certificates;
};
KeyObjects objects_of(const Inventory& inventory, const Key& key);

// As generate, in the place of another key with the id `spec.id`, which goes with its public key
// and certificates: after the new one is whole, or at the same moment where the token has places.
Generated replace(const OpenToken& token, const KeySpec& spec, const KeyObjects& old,
                  const std::function<void(EVP_PKEY*)>& made_it = {});

// Throws unsupported when the token cannot delete or rename keys at all.
void check_can_delete(const OpenToken& token, const Key& key);
void check_can_rename(const OpenToken& token, const Key& key);

// Gives one object another label, and reads it back.
void set_label(const OpenToken& token, CK_OBJECT_HANDLE handle, const std::string& label);
// The same for the key and what goes with it: all of them or none.
void rename(const OpenToken& token, const KeyObjects& objects, const std::string& label);
// Deletes certificate, public key and private key, in this order, and looks that they are gone.
void destroy(const OpenToken& token, const KeyObjects& objects);

// The URI by which hsmith names an object, canonical.
std::string object_uri(const OpenToken& token, const std::string& label, ByteView id,
                       ObjectType type);

// "rsa:2048", "ec:p256", "aes:256"; "unknown" when the token does not say enough.
std::string type_name(const Key& key);

}  // namespace hsmith::tokens
