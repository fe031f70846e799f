#include "tokens/keys.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "pkcs11/names.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "tokens/matching.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"

namespace hsmith::tokens {
namespace {

using pkcs11::Template;

// More candidates than this help nobody.
constexpr std::size_t kMostCandidates = 20;

Template search_for(CK_OBJECT_CLASS object_class, const Selector& selector) {
  Template wanted;
  wanted.set_number(CKA_CLASS, object_class);
  if (selector.label) wanted.set_text(CKA_LABEL, *selector.label);
  if (selector.id) wanted.set(CKA_ID, *selector.id);
  return wanted;
}

// Those of the objects that can be read: a broken one must not hide the others.
std::vector<Key> read_all(const OpenToken& token, std::span<const CK_OBJECT_HANDLE> handles,
                          CK_OBJECT_CLASS object_class) {
  std::vector<Key> keys;
  for (const CK_OBJECT_HANDLE handle : handles) {
    try {
      keys.push_back(read_key(token, handle, object_class));
    } catch (const Error& error) {
      if (error.kind() == Kind::token_removed) throw;
    }
  }
  return keys;
}

std::vector<std::string> uris_of(std::span<const Key> keys) {
  std::vector<std::string> uris;
  for (const Key& key : keys) uris.push_back(key.uri);
  return uris;
}

// How one of several keys can be named, which may have one id, or one id and one label.
std::string how_to_name(std::span<const Key> keys) {
  std::set<std::string> ids;
  std::set<std::string> uris;
  for (const Key& key : keys) {
    ids.insert(hex(key.id));
    uris.insert(key.uri);
  }
  if (uris.size() < keys.size())
    return "no name tells those apart that have one label and one id: give one another id with the "
           "module's own tool, such as pkcs11-tool --set-id";
  if (keys.empty() || ids.size() < keys.size() || ids.contains(""))
    return "name one of them by its URI";
  return "name one of them by its id, for example id:" + *ids.begin();
}

[[noreturn]] void fail_not_found(const OpenToken& token, const Selector& selector,
                                 const std::string& doing) {
  Template any;
  any.set_number(CKA_CLASS, CKO_PRIVATE_KEY);
  const std::vector<Key> keys = while_doing(doing, [&] {
    return read_all(token, token.session->find(any, kMostCandidates), CKO_PRIVATE_KEY);
  });
  std::vector<std::string> labels;
  for (const Key& key : keys) labels.push_back(key.label);
  const auto near = did_you_mean(selector.label.value_or(selector.text), labels);
  throw Error(Kind::not_found, doing + ": no private key matches")
      .hint(near ? fmt::format("did you mean {}? all keys: hsmith key list", printable(*near))
                 : "see the keys with: hsmith key list")
      .candidates(uris_of(keys));
}

}  // namespace

Key find_one(const OpenToken& token, const Selector& selector) {
  if (selector.type && *selector.type != ObjectType::private_key) {
    throw Error(
        Kind::usage,
        fmt::format("find the key {}: a private key is meant here, the URI names another type",
                    quoted(selector.text)));
  }
  const std::string doing = fmt::format("find the key {} on the token {}", quoted(selector.text),
                                        quoted(token.info.label));
  const auto handles = while_doing(doing, [&] {
    return token.session->find(search_for(CKO_PRIVATE_KEY, selector), kMostCandidates);
  });
  if (handles.empty()) fail_not_found(token, selector, doing);
  if (handles.size() == 1) {
    return while_doing(doing, [&] { return read_key(token, handles.front(), CKO_PRIVATE_KEY); });
  }
  const std::vector<Key> keys =
      while_doing(doing, [&] { return read_all(token, handles, CKO_PRIVATE_KEY); });
  throw Error(Kind::ambiguous, fmt::format("{}: {} private keys match", doing, handles.size()))
      .hint(how_to_name(keys))
      .candidates(uris_of(keys));
}

namespace {

// The public half that other objects give for a key: those with its id, or, where it has none,
// those without an id that have its label. Of several pairs with one id the label tells which is
// meant; what is left must agree.
class PublicHalf {
 public:
  explicit PublicHalf(const Key& key) : key_(key) {}

  void add(const Key& other) {
    if (goes_along(key_, other.label, other.id) && other.public_key)
      found_.push_back({other.label, ossl::share(other.public_key.get())});
  }

  // The certificate counts only as far as it can be read.
  void add(const TokenCertificate& other) {
    if (!goes_along(key_, other.label, other.id)) return;
    if (ossl::PKey key = certified_key(other)) found_.push_back({other.label, std::move(key)});
  }

  // Something that goes along could not be read: why, where nothing else tells the public half.
  void add(const Error& error) { unread_ = error; }

  ossl::PKey take() {
    const auto has_label = [&](const Found& one) { return one.label == key_.label; };
    if (std::any_of(found_.begin(), found_.end(), has_label)) {
      std::erase_if(found_, [&](const Found& one) { return !has_label(one); });
    }
    if (found_.empty()) {
      if (unread_) throw *unread_;
      throw Error(Kind::not_found,
                  fmt::format("read the public key of {}: the token does not have it", key_.uri))
          .hint(
              "no public key object and no certificate goes with the key; install its certificate");
    }
    for (const Found& other : found_) {
      if (ossl::same_public_key(found_.front().key.get(), other.key.get())) continue;
      throw Error(Kind::mismatch,
                  fmt::format("read the public key of {}: objects with its id hold different keys",
                              key_.uri))
          .hint("see them with: hsmith key list");
    }
    return std::move(found_.front().key);
  }

  // After take(): whether the label tells that it is this key's.
  bool has_its_label() const { return found_.front().label == key_.label; }

 private:
  struct Found {
    std::string label;
    ossl::PKey key;
  };

  const Key& key_;
  std::vector<Found> found_;
  std::optional<Error> unread_;
};

}  // namespace

namespace {

PublicHalf read_public_half(const OpenToken& token, const Key& key, const std::string& doing) {
  PublicHalf half(key);
  Selector like_it;
  if (!key.id.empty()) {
    like_it.id = key.id;
  } else {
    like_it.label = key.label;
  }
  const auto add_all = [&](CK_OBJECT_CLASS object_class, auto read) {
    for (const auto handle :
         token.session->find(search_for(object_class, like_it), kMostCandidates)) {
      try {
        half.add(read(handle));
      } catch (const Error& error) {
        if (error.kind() == Kind::token_removed) throw;
        half.add(Error(error).during(doing));
      }
    }
  };
  add_all(CKO_PUBLIC_KEY, [&](auto handle) { return read_key(token, handle, CKO_PUBLIC_KEY); });
  add_all(CKO_CERTIFICATE, [&](auto handle) { return read_certificate(token, handle); });
  return half;
}

}  // namespace

ossl::PKey public_key_of(const OpenToken& token, const Key& key) {
  if (key.public_key) return ossl::share(key.public_key.get());
  const std::string doing = "read the public key of " + key.uri;
  PublicHalf half = while_doing(doing, [&] { return read_public_half(token, key, doing); });
  return half.take();
}

ossl::PKey public_key_of(const Inventory& inventory, const Key& key) {
  if (key.public_key) return ossl::share(key.public_key.get());
  PublicHalf half(key);
  for (const Key& other : inventory.public_keys) half.add(other);
  for (const TokenCertificate& other : inventory.certificates) half.add(other);
  ossl::PKey found = half.take();
  for (const Key* other : sharing_id(inventory, key)) {
    const bool may_be_its =
        !other->public_key || ossl::same_public_key(other->public_key.get(), found.get());
    if (!may_be_its || (half.has_its_label() && other->label != key.label)) continue;
    throw Error(Kind::not_found, fmt::format("read the public key of {}: it may as well be that of "
                                             "{}",
                                             key.uri, other->uri));
  }
  return found;
}

void check_free(const OpenToken& token, const std::string& label, ByteView id,
                const std::string& other_way) {
  const auto refuse_taken = [&](const Template& wanted, const std::string& what,
                                const std::string& more) {
    const std::string doing =
        fmt::format("use the {} on the token {}", what, quoted(token.info.label));
    const auto hits = while_doing(doing, [&] { return token.session->find(wanted, 1); });
    if (hits.empty()) return;
    throw Error(Kind::exists, doing + ": it is taken")
        .hint("see what has it with: hsmith key list" + more);
  };
  refuse_taken(Template().set_text(CKA_LABEL, label), "label " + quoted(label), "");
  if (id.empty()) return;
  refuse_taken(Template().set(CKA_ID, id), "id " + hex(id), other_way);
}

KeyObjects objects_of(const Inventory& inventory, const Key& key) {
  KeyObjects objects{key, {}, {}};
  if (key.object_class == CKO_SECRET_KEY) return objects;  // nothing goes with it
  ossl::PKey half;
  try {
    half = public_key_of(inventory, key);
  } catch (const Error& error) {
    if (error.kind() != Kind::not_found) throw;
  }
  const bool is_alone = sharing_id(inventory, key).empty();
  const auto is_its = [&](EVP_PKEY* other, const Bytes& other_id) {
    if (other != nullptr && half) return ossl::same_public_key(other, half.get());
    return is_alone && !key.id.empty() && other_id == key.id;
  };
  for (const Key& other : inventory.public_keys) {
    if (is_its(other.public_key.get(), other.id)) objects.public_keys.push_back(other);
  }
  for (const TokenCertificate& other : inventory.certificates) {
    if (is_its(certified_key(other).get(), other.id)) objects.certificates.push_back(other);
  }
  return objects;
}

namespace {

// One of the objects of a key, in the order in which they go: what is left of an interrupted
// deletion is a key that can still be found.
struct Part {
  CK_OBJECT_HANDLE handle;
  std::string label;
  Template identity;  // what finds it again
};

std::vector<Part> parts_of(const KeyObjects& objects) {
  std::vector<Part> parts;
  const auto add = [&](CK_OBJECT_CLASS object_class, const auto& object) {
    Template identity;
    identity.set_number(CKA_CLASS, object_class).set(CKA_ID, object.id);
    identity.set_text(CKA_LABEL, object.label);
    parts.push_back({object.handle, object.label, std::move(identity)});
  };
  for (const TokenCertificate& certificate : objects.certificates) {
    add(CKO_CERTIFICATE, certificate);
    parts.back().identity.set(CKA_VALUE, certificate.der);
  }
  for (const Key& key : objects.public_keys) add(CKO_PUBLIC_KEY, key);
  add(objects.private_key.object_class, objects.private_key);
  return parts;
}

std::string label_of(const OpenToken& token, CK_OBJECT_HANDLE handle) {
  static constexpr CK_ATTRIBUTE_TYPE kLabel[] = {CKA_LABEL};
  return token.session->get(handle, kLabel).text(CKA_LABEL);
}

}  // namespace

void set_label(const OpenToken& token, CK_OBJECT_HANDLE handle, const std::string& label) {
  Template labelled;
  labelled.set_text(CKA_LABEL, label);
  token.session->set(handle, labelled);
  if (label_of(token, handle) == label) return;
  throw Error(Kind::token_failed, "the token kept the old label");
}

void check_can_delete(const OpenToken& token, const Key& key) {
  static constexpr CK_ATTRIBUTE_TYPE kDestroyable[] = {CKA_DESTROYABLE};
  const auto is = while_doing("delete " + key.uri,
                              [&] { return token.session->get(key.handle, kDestroyable); });
  if (is.flag(CKA_DESTROYABLE) == false) {
    throw Error(Kind::refused,
                fmt::format("delete {}: it was made so that nobody can delete it", key.uri))
        .hint(
            fmt::format("it goes only with all else on its token: hsmith token init --label LABEL "
                        "--serial {} --erase {}",
                        shell_word(token.info.serial), shell_word(token.info.label)));
  }
  if (!token_quirks(token.info).keeps_keys) return;
  throw Error(
      Kind::unsupported,
      fmt::format("delete {}: the token cannot delete a key, only make another in its place",
                  key.uri))
      .hint(fmt::format("hsmith key generate NAME --type TYPE --login-as so --replace {}",
                        hex(key.id)));
}

void check_can_rename(const OpenToken& token, const Key& key) {
  static constexpr CK_ATTRIBUTE_TYPE kModifiable[] = {CKA_MODIFIABLE};
  const auto is =
      while_doing("rename " + key.uri, [&] { return token.session->get(key.handle, kModifiable); });
  if (key.object_class == CKO_SECRET_KEY && is.flag(CKA_MODIFIABLE) == false) {
    throw Error(Kind::refused,
                fmt::format("rename {}: it was made so that nobody can change it", key.uri))
        .hint("name it by its id: id:" + hex(key.id));
  }
  if (!token_quirks(token.info).fixed_labels) return;
  throw Error(
      Kind::unsupported,
      fmt::format("rename {}: the token's labels are its own and cannot be changed", key.uri))
      .hint("name the key by its id: id:" + hex(key.id));
}

void rename(const OpenToken& token, const KeyObjects& objects, const std::string& label) {
  const std::string doing = fmt::format("rename {} to {}", objects.private_key.uri, quoted(label));
  const std::vector<Part> parts = parts_of(objects);
  try {
    for (const Part& part : parts) set_label(token, part.handle, label);
  } catch (const Error& error) {
    try {
      for (const Part& part : parts) {
        if (label_of(token, part.handle) != part.label) set_label(token, part.handle, part.label);
      }
    } catch (const Error&) {
      throw error.during(doing + ": it may have both labels now")
          .hint("see it with hsmith doctor, finish it with: hsmith doctor --repair")
          .unfinished();
    }
    throw error.during(doing);
  }
}

void destroy(const OpenToken& token, const KeyObjects& objects) {
  const std::string doing = "delete " + objects.private_key.uri;
  const std::vector<Part> parts = parts_of(objects);
  std::optional<Error> failed;
  try {
    for (const Part& part : parts) token.session->destroy(part.handle);
  } catch (const Error& error) {
    failed = error;
  }
  // The token's answer is not believed in either case.
  std::size_t left = 0;
  try {
    for (const Part& part : parts) left += token.session->find(part.identity, 1).size();
  } catch (const Error& error) {
    throw(failed ? *failed : error)
        .during(doing + ": it is not known how much of it is left")
        .hint("see it with hsmith doctor, finish it with: hsmith doctor --repair --yes")
        .unfinished();
  }
  if (left == 0) return;
  const Error error = failed ? *failed : Error(Kind::token_failed, "the token still has it");
  if (left == parts.size()) throw error.during(doing);
  throw error.during(fmt::format("{}: {} of {} objects are left", doing, left, parts.size()))
      .hint("finish it with: hsmith doctor --repair --yes")
      .unfinished();
}

}  // namespace hsmith::tokens
