#include "src/recovery/seal.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>

#include "src/base/error.h"
#include "src/base/json.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"

namespace hsmith::recovery {
namespace {

using Json = nlohmann::ordered_json;

Json hashes_json(const std::vector<Bytes>& hashes) {
  Json json = Json::array();
  for (const Bytes& hash : hashes) json.push_back(hex(hash));
  return json;
}

Bytes hash_of(const Json& json) {
  const auto hash = parse_hex(json.get<std::string>());
  if (!hash || hash->size() != 32) throw Error(Kind::malformed, "a hash is not one");
  return *hash;
}

std::vector<Bytes> hashes_of(const Json& json) {
  std::vector<Bytes> hashes;
  for (const Json& hash : json) hashes.push_back(hash_of(hash));
  return hashes;
}

Json settings_json(const Settings& settings) {
  Json json{{"id", settings.id},
            {"kras_per_key", settings.kras_per_key},
            {"selection", selection_name(settings.selection)},
            {"allow_foreign", settings.allow_foreign},
            {"role_separation", settings.role_separation},
            {"require_revoked", settings.require_revoked},
            {"agents", Json::array()},
            {"officers", Json::array()},
            {"anchors", hashes_json(settings.anchors)},
            {"crls", hashes_json(settings.crls)}};
  for (const Agent& agent : settings.agents) {
    json["agents"].push_back(
        {{"certificate", hex(agent.certificate)}, {"abilities", agent.abilities}});
  }
  for (const Officer& officer : settings.officers) {
    json["officers"].push_back(
        {{"certificate", hex(officer.certificate)}, {"subjects", officer.subjects}});
  }
  return json;
}

Settings settings_of(const Json& json) {
  Settings settings;
  settings.id = json.at("id").get<std::string>();
  settings.kras_per_key = json.at("kras_per_key").get<int>();
  settings.selection = selection_named(json.at("selection").get<std::string>());
  settings.allow_foreign = json.at("allow_foreign").get<bool>();
  settings.role_separation = json.value("role_separation", false);  // older archives lack it,
  settings.require_revoked = json.value("require_revoked", false);  // and this
  for (const Json& agent : json.at("agents")) {
    settings.agents.push_back(
        {hash_of(agent.at("certificate")), agent.at("abilities").get<std::vector<std::string>>()});
  }
  for (const Json& officer : json.at("officers")) {
    settings.officers.push_back(
        {hash_of(officer.at("certificate")), officer.at("subjects").get<std::string>()});
  }
  settings.anchors = hashes_of(json.at("anchors"));
  settings.crls = hashes_of(json.at("crls"));
  return settings;
}

// What the signature is made over: the digest that the key's default scheme wants, or all of it.
Bytes to_sign(const ossl::Scheme& scheme, ByteView content) {
  return scheme.digest != nullptr ? ossl::digest(*scheme.digest, content) : to_bytes(content);
}

void read_keys(const Json& json, bool is_new, std::map<std::int64_t, SealedKey>& keys) {
  for (const Json& key : json) {
    SealedKey sealed{key.at("sha256").get<std::string>(), {}, is_new};
    if (key.contains("certificate")) sealed.certificate = hash_of(key.at("certificate"));
    keys.emplace(key.at("id").get<std::int64_t>(), std::move(sealed));
  }
}

Seal read_seal(const Json& json) {
  Seal seal;
  seal.number = json.at("number").get<std::int64_t>();
  seal.previous = json.at("previous").get<std::string>();
  seal.time = json.at("time").get<std::time_t>();
  seal.settings_seal = json.at("settings_seal").get<std::int64_t>();
  if (json.contains("settings")) seal.settings = settings_of(json.at("settings"));
  read_keys(json.at("keys"), true, seal.keys);
  seal.new_keys = seal.keys.size();
  seal.last_key = json.value("last_key", std::int64_t{0});
  read_keys(json.at("rewrapped"), false, seal.keys);
  if (json.contains("objects")) seal.objects = hashes_of(json.at("objects"));
  return seal;
}

void add_keys(Json& json, const std::vector<KeyRow>& keys) {
  for (const KeyRow& key : keys) {
    json.push_back(
        {{"id", key.id}, {"sha256", fingerprint(key)}, {"certificate", hex(key.certificate)}});
  }
}

}  // namespace

std::string fingerprint(const KeyRow& key) {
  const Json json{{"id", key.id},
                  {"certificate", hex(key.certificate)},
                  {"blob", hex(sha256_of(key.blob))},
                  {"origin", key.origin},
                  {"time", key.time},
                  {"chain", hashes_json(key.chain)},
                  {"agents", hashes_json(key.agents)}};
  const std::string text = json.dump();
  return hex(sha256_of(as_bytes(text)));
}

Seal checked_seal(const Archive& archive, const SealRow& row) {
  const std::string doing =
      fmt::format("read seal {} of the archive {}", row.number, quoted(archive.store->name()));
  EVP_PKEY* key = x509::public_key_of(archive.seal_certificate.get());
  const ossl::Scheme scheme = ossl::choose_scheme(key, "", "");
  if (!ossl::verify(key, scheme, to_sign(scheme, row.content), row.signature)) {
    throw Error(Kind::mismatch, doing + ": its signature is not the seal key's")
        .hint(
            "the seal key's certificate is pinned by [archive] seal_cert; a database that "
            "somebody edited shows the same");
  }
  try {
    Seal seal = read_seal(parse_json(as_text(row.content)));
    if (seal.number != row.number)
      throw Error(Kind::mismatch, doing + ": it stands in another one's place");
    return seal;
  } catch (const Json::exception& error) {
    throw Error(Kind::malformed, doing + ": " + error.what());
  }
}

Settings settings_at(Archive& archive, std::int64_t number) {
  const auto row = archive.store->seal(number);
  if (row) {
    const Seal seal = checked_seal(archive, *row);
    if (seal.settings) return *seal.settings;
  }
  throw Error(Kind::mismatch, fmt::format("read the settings of the archive {}: seal {} has none",
                                          quoted(archive.store->name()), number));
}

std::set<Bytes> agents_of_all_seals(Archive& archive) {
  std::set<Bytes> agents;
  std::int64_t last = 0;
  std::string previous;
  const auto doing = [&] {
    return fmt::format("read the seals of the archive {}", quoted(archive.store->name()));
  };
  archive.store->each_seal([&](const SealRow& row) {
    const Seal seal = checked_seal(archive, row);
    if (row.number != last + 1 || seal.previous != previous)
      throw Error(Kind::mismatch, fmt::format("{}: seal {} is missing", doing(), last + 1));
    if (seal.settings)
      for (const Agent& agent : seal.settings->agents) agents.insert(agent.certificate);
    last = row.number;
    previous = hex(sha256_of(row.content));
  });
  if (last < archive.last_seal)
    throw Error(Kind::mismatch, fmt::format("{}: seal {} is missing", doing(), last + 1));
  return agents;
}

SealRow make_seal(const Archive& archive, const ArchiveChange& change, ossl::RemoteKey& seal_key,
                  std::time_t now) {
  const std::int64_t number = archive.last_seal + 1;
  Json json{{"number", number},
            {"previous", archive.last_hash},
            {"time", now},
            {"settings_seal", change.settings ? number : archive.settings_seal},
            {"last_key", change.keys.empty() ? archive.last_key : change.keys.back().id}};
  if (change.settings) json["settings"] = settings_json(*change.settings);
  json["keys"] = json["rewrapped"] = Json::array();
  add_keys(json["keys"], change.keys);
  add_keys(json["rewrapped"], change.rewrapped);
  add_keys(json["rewrapped"], change.restored);
  std::set<Bytes> objects;
  for (const Bytes& object : change.objects) objects.insert(sha256_of(object));
  json["objects"] = hashes_json({objects.begin(), objects.end()});
  const std::string content = json.dump();
  EVP_PKEY* pinned = x509::public_key_of(archive.seal_certificate.get());
  const ossl::Scheme scheme = ossl::choose_scheme(pinned, "", "");
  const Bytes input = to_sign(scheme, as_bytes(content));
  Bytes signature = seal_key.sign(scheme, input);
  if (!ossl::verify(pinned, scheme, input, signature)) {
    throw Error(Kind::mismatch,
                fmt::format("seal a change of the archive {}: the key is not the one whose "
                            "certificate is pinned",
                            quoted(archive.store->name())));
  }
  return {number, to_bytes(as_bytes(content)), std::move(signature)};
}

}  // namespace hsmith::recovery
