#include "src/recovery/archive.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/recovery/seal.h"
#include "src/x509/certificate.h"
#include "src/x509/extensions.h"
#include "src/x509/name.h"

namespace hsmith::recovery {

Bytes sha256_of(ByteView data) { return ossl::digest(ossl::digest_named("sha256"), data); }

const char* selection_name(Selection selection) {
  switch (selection) {
    case Selection::round_robin:
      return "roundrobin";
    case Selection::spread:
      return "spread";
    default:
      return "all";
  }
}

Selection selection_named(std::string_view name) {
  for (const auto selection : {Selection::round_robin, Selection::spread, Selection::all}) {
    if (name == selection_name(selection)) return selection;
  }
  throw Error(Kind::usage, fmt::format("selection {}: there is no such one", quoted(name)))
      .hint("selections are roundrobin, spread and all");
}

namespace {

void go_on_from(Archive& archive, const SealRow& row, const Seal& newest) {
  archive.last_seal = newest.number;
  archive.last_hash = hex(sha256_of(row.content));
  archive.last_key = newest.last_key;
}

}  // namespace

Archive open_archive(std::unique_ptr<Store> store, X509* seal_certificate) {
  Archive archive;
  archive.store = std::move(store);
  archive.seal_certificate = ossl::share(seal_certificate);
  const auto last = archive.store->last_seal();
  if (!last) {
    throw Error(Kind::malformed, fmt::format("open the archive {}: it has no settings",
                                             quoted(archive.store->name())));
  }
  const Seal newest = checked_seal(archive, *last);
  go_on_from(archive, *last, newest);
  archive.settings_seal = newest.settings_seal;
  archive.settings =
      newest.settings ? *newest.settings : settings_at(archive, newest.settings_seal);
  return archive;
}

namespace {

// Other processes may have added keys since the archive was opened; settings that changed meanwhile
// are another matter: what this change was made by no longer holds.
void catch_up(Archive& archive) {
  const auto last = archive.store->last_seal();
  if (!last || last->number == archive.last_seal) return;
  const Seal newest = checked_seal(archive, *last);
  if (newest.settings_seal > archive.last_seal) {
    throw Error(Kind::busy, fmt::format("change the archive {}: another process changed its "
                                        "settings",
                                        quoted(archive.store->name())))
        .hint("run the command again");
  }
  go_on_from(archive, *last, newest);
}

// Each once: many keys come with the same chain.
std::map<Bytes, ByteView> by_hash(const std::vector<Bytes>& objects) {
  std::map<Bytes, ByteView> all;
  for (const Bytes& object : objects) all.emplace(sha256_of(object), object);
  return all;
}

// Reading a certificate takes as long as encrypting a key: whoever has read it brings its terms.
std::vector<Term> key_terms(Archive& archive, const ArchiveChange& what,
                            const std::map<Bytes, ByteView>& objects, const KeyRow& key) {
  const auto known = what.terms.find(key.certificate);
  if (known != what.terms.end()) return known->second;
  const auto brought = objects.find(key.certificate);
  const auto certificate =
      brought == objects.end()
          ? checked_certificate(archive, key.certificate)
          : x509::certificate_from_der(brought->second, "a new certificate of the archive");
  return terms_of(certificate.get());
}

// Numbers beyond this are nobody's but an editor's, and could not be counted on from.
constexpr std::int64_t kMostKeys = std::int64_t{1} << 53;

void give_numbers(std::vector<KeyRow>& keys, std::int64_t first) {
  if (first < 1 || first > kMostKeys - static_cast<std::int64_t>(keys.size()))
    throw Error(Kind::malformed, "change the archive: its last key has an impossible number")
        .hint("look at all of it with: hsmith archive verify");
  for (KeyRow& key : keys) key.id = first++;
}

// What was committed, as it is there now.
class Committed {
 public:
  explicit Committed(Archive& archive) : archive_(archive) {}

  void seal(const SealRow& wanted) {
    const auto found = archive_.store->seal(wanted.number);
    expect(found && found->content == wanted.content && found->signature == wanted.signature,
           fmt::format("seal {}", wanted.number));
  }
  void object(ByteView sha256, ByteView wanted) {
    const auto found = archive_.store->object(sha256);
    expect(found && equal(*found, wanted), "certificate " + hex(sha256));
  }
  void key(const KeyRow& wanted) {
    expect(archive_.store->key(wanted.id) == wanted, fmt::format("key {}", wanted.id));
  }
  void terms(std::int64_t id, std::vector<Term> wanted) {
    std::vector<Term> found = archive_.store->terms(id);
    std::sort(found.begin(), found.end());
    std::sort(wanted.begin(), wanted.end());
    expect(found == wanted, fmt::format("what key {} is found by", id));
  }

 private:
  void expect(bool same, const std::string& what) {
    if (same) return;
    throw Error(Kind::io,
                fmt::format("change the archive {}: {} was committed, and is not there as "
                            "it was written",
                            quoted(archive_.store->name()), what))
        .hint("look at all of it with: hsmith archive verify");
  }

  Archive& archive_;
};

}  // namespace

void commit_change(Archive& archive, StoreChange& change, ArchiveChange what,
                   const std::shared_ptr<ossl::RemoteKey>& seal_key, std::time_t now) {
  catch_up(archive);
  const std::int64_t number = archive.last_seal + 1;
  // A key that is lost keeps its number: that it is lost would not be seen.
  give_numbers(what.keys, std::max(change.next_key(), archive.last_key + 1));
  for (auto* rows : {&what.keys, &what.restored}) {
    for (KeyRow& key : *rows) key.time = now;
  }
  for (auto* rows : {&what.keys, &what.rewrapped, &what.restored}) {
    for (KeyRow& key : *rows) key.seal = number;
  }
  const SealRow seal = make_seal(archive, what, *seal_key, now);
  const auto objects = by_hash(what.objects);
  for (const auto& [sha256, object] : objects) change.add_object(sha256, object);
  change.add_seal(seal);
  for (const KeyRow& key : what.restored) change.remove_key(key.id);
  std::map<std::int64_t, std::vector<Term>> terms;
  for (const auto* rows : {&what.keys, &what.restored}) {
    for (const KeyRow& key : *rows) {
      const auto& its = terms[key.id] = key_terms(archive, what, objects, key);
      change.add_key(key, its);
    }
  }
  for (const KeyRow& key : what.rewrapped) change.replace_key(key);
  change.commit();
  archive.last_seal = number;
  archive.last_hash = hex(sha256_of(seal.content));
  if (!what.keys.empty()) archive.last_key = what.keys.back().id;
  if (what.settings) {
    archive.settings = *what.settings;
    archive.settings_seal = number;
  }
  Committed committed(archive);
  committed.seal(seal);
  for (const auto& [sha256, object] : objects) committed.object(sha256, object);
  for (const auto* rows : {&what.keys, &what.rewrapped, &what.restored}) {
    for (const KeyRow& key : *rows) committed.key(key);
  }
  for (auto& [id, its] : terms) committed.terms(id, std::move(its));
}

KeyRow checked_key(Archive& archive, std::int64_t id) {
  const auto key = archive.store->key(id);
  const std::string doing = fmt::format("read key {} of the archive", id);
  if (!key) throw Error(Kind::mismatch, doing + ": it is missing");
  const auto row = archive.store->seal(key->seal);
  if (!row) throw Error(Kind::mismatch, doing + ": its seal is missing");
  const Seal seal = checked_seal(archive, *row);
  const auto sealed = seal.keys.find(id);
  if (sealed == seal.keys.end() || sealed->second.fingerprint != fingerprint(*key)) {
    throw Error(Kind::mismatch, doing + ": it is not what was sealed")
        .hint("look at all of it with: hsmith archive verify");
  }
  return *key;
}

Archived archived_key(Archive& archive, ByteView certificate) {
  constexpr std::size_t kMostHits = 1000;
  Archived found;
  for (const std::int64_t id : archive.store->find("thumbprint", hex(certificate), kMostHits)) {
    try {
      KeyRow row = checked_key(archive, id);
      if (!equal(row.certificate, certificate)) continue;
      const auto object = archive.store->object(certificate);
      const bool is_whole = object && equal(sha256_of(*object), certificate);
      return {std::move(row), !is_whole};
    } catch (const Error& error) {
      if (error.kind() != Kind::mismatch && error.kind() != Kind::malformed) throw;
      found.damaged = true;
    }
  }
  return found;
}

std::map<Bytes, SealedRow> sealed_rows(Archive& archive) {
  std::map<std::int64_t, SealedKey> newest;
  archive.store->each_seal([&](const SealRow& row) {
    Seal seal = checked_seal(archive, row);
    for (auto& [id, sealed] : seal.keys) {
      if (!sealed.certificate.empty()) newest[id] = std::move(sealed);
    }
  });
  std::map<Bytes, SealedRow> rows;
  for (auto& [id, sealed] : newest)
    rows[std::move(sealed.certificate)] = {id, std::move(sealed.fingerprint)};
  return rows;
}

Bytes checked_object(Archive& archive, ByteView sha256) {
  auto der = archive.store->object(sha256);
  if (der && equal(sha256_of(*der), sha256)) return std::move(*der);
  throw Error(Kind::mismatch,
              fmt::format("read the certificate {} of the archive: {}", hex(sha256),
                          der ? "it was changed" : "it is missing (CRYPT_E_NOT_FOUND 0x80092004)"))
      .hint("look at all of it with: hsmith archive verify");
}

ossl::Certificate checked_certificate(Archive& archive, ByteView sha256) {
  return x509::certificate_from_der(checked_object(archive, sha256), "the archive's certificate");
}

std::vector<ossl::Certificate> checked_certificates(Archive& archive,
                                                    const std::vector<Bytes>& hashes) {
  std::vector<ossl::Certificate> certificates;
  for (const Bytes& hash : hashes) certificates.push_back(checked_certificate(archive, hash));
  return certificates;
}

namespace {

// As certificate_facts() has it: that computes much more, and this runs for each key.
std::string serial_of(X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  const char* sign = ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER ? "-" : "";
  return sign +
         hex({ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial))});
}

// Every form of a user's name that can be told from one: the part before an address's @ is what
// DOMAIN\user is looked for by.
void add_user(std::vector<Term>& terms, const std::string& address) {
  terms.push_back({"user", lower(address.substr(0, address.find('@')))});
}

}  // namespace

std::vector<Term> terms_of(X509* certificate) {
  const auto extensions = x509::read_extensions(X509_get0_extensions(certificate));
  std::vector<Term> terms;
  for (const auto& part : x509::name_parts(X509_get_subject_name(certificate))) {
    if (part.type == "CN") {
      terms.push_back({"cn", lower(part.value)});
      terms.push_back({"user", lower(part.value)});
    }
    if (part.type == "emailAddress") terms.push_back({"email", lower(part.value)});
  }
  for (const auto& name : extensions.names) {
    if (name.kind == x509::AltNameKind::email) terms.push_back({"email", lower(name.value)});
    if (name.kind == x509::AltNameKind::upn) {
      terms.push_back({"upn", lower(name.value)});
      add_user(terms, name.value);
    }
  }
  const Bytes der = x509::certificate_der(certificate);
  terms.push_back({"serial", serial_of(certificate)});
  terms.push_back({"thumbprint", hex(ossl::digest(ossl::digest_named("sha1"), der))});
  terms.push_back({"thumbprint", hex(sha256_of(der))});
  const auto& key_id = extensions.subject_key_id;
  terms.push_back({"keyid", key_id.empty()
                                ? hex(ossl::key_identifier(x509::public_key_of(certificate)))
                                : key_id});
  // PostgreSQL's texts have no NUL.
  std::erase_if(terms, [](const Term& term) {
    return term.value.empty() || term.value.size() > kMostTerm || !is_utf8(term.value) ||
           term.value.find('\0') != std::string::npos;
  });
  std::sort(terms.begin(), terms.end());
  terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
  return terms;
}

}  // namespace hsmith::recovery
