#include "tokens/backup_file.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "src/base/base64.h"
#include "src/base/error.h"
#include "src/base/json.h"
#include "src/base/text.h"
#include "tokens/json_members.h"

namespace hsmith::tokens {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kFormat[] = "hsmith key backup v1";
constexpr std::size_t kMostKeys = 1000;
constexpr std::size_t kMostCertificates = 20;
constexpr std::size_t kLongestWrapped = 16384;
constexpr std::size_t kLongestCertificate = 65536;
constexpr std::array<std::string_view, 2> kMechanisms{"CKM_AES_KEY_WRAP_KWP",
                                                      "CKM_AES_KEY_WRAP_PAD"};
// The protection that every key in a backup had, and gets again.
constexpr std::array kProtection{"private", "sensitive", "extractable", "wrap_with_trusted"};

// JSON holds UTF-8 only: what a token says of itself may be anything.
std::string utf8(const std::string& text) { return is_utf8(text) ? text : printable(text); }

Json key_json(const BackedUpKey& key) {
  Json json;
  json["label"] = utf8(key.spec.label);
  json["id"] = hex(key.spec.id);
  json["type"] = key.spec.type->name;
  json["use"] = use_names(key.spec.uses);
  for (const char* name : kProtection) json[name] = true;
  json["public_key"] = base64(ossl::spki_of(key.public_key.get()));
  json["certificates"] = Json::array();
  for (const Bytes& certificate : key.certificates)
    json["certificates"].push_back(base64(certificate));
  json["wrapped"] = base64(key.wrapped);
  return json;
}

Json unsigned_json(const Backup& backup) {
  Json json;
  json["format"] = kFormat;
  json["created"] = rfc3339(backup.created);
  json["token"] = {{"label", utf8(backup.token_label)},
                   {"manufacturer", utf8(backup.manufacturer)},
                   {"model", utf8(backup.model)},
                   {"serial", utf8(backup.serial)}};
  json["wrapping_key"] = {{"label", utf8(backup.wrapping_label)},
                          {"id", hex(backup.wrapping_id)},
                          {"check_value", backup.check_value}};
  json["mechanism"] = backup.mechanism;
  json["padding"] = backup.padding;
  json["keys"] = Json::array();
  for (const BackedUpKey& key : backup.keys) json["keys"].push_back(key_json(key));
  return json;
}

// A type that hsmith makes and that can be wrapped: weaker ones are refused before anything is
// unwrapped.
const ossl::KeyType& type_in(const Members& key) {
  const std::string name = key.text("type");
  for (const ossl::KeyType& type : ossl::key_types()) {
    const bool fits =
        type.algorithm == ossl::KeyAlgorithm::rsa || type.algorithm == ossl::KeyAlgorithm::ec;
    if (fits && name == type.name) return type;
  }
  key.refuse(fmt::format("keys of type {} cannot be backed up", quoted(name)));
}

BackedUpKey read_key(const Json& json, const std::string& where) {
  if (!json.is_object()) throw Error(Kind::malformed, where + ": it is no object");
  const Members key(json, where);
  BackedUpKey read;
  read.spec.label = key.text("label");
  read.spec.id = key.id("id");
  read.spec.type = &type_in(key);
  try {
    read.spec.uses = parse_uses(key.text("use"), *read.spec.type);
  } catch (const Error& error) {
    key.refuse(error.what());
  }
  for (const char* name : kProtection) {
    if (key.member(name) == true) continue;
    throw Error(Kind::refused,
                fmt::format("{}: \"{}\" is not true: such a key is not made by hsmith, and is not "
                            "restored",
                            where, name));
  }
  read.public_key =
      ossl::public_key_from_spki(key.bytes(key.member("public_key"), "public_key", 4096));
  if (ossl::key_type_name(read.public_key.get()) != read.spec.type->name)
    key.refuse("type and public key differ");
  for (const Json& certificate : key.list("certificates", kMostCertificates))
    read.certificates.push_back(key.bytes(certificate, "certificates", kLongestCertificate));
  read.wrapped = key.bytes(key.member("wrapped"), "wrapped", kLongestWrapped);
  if (read.wrapped.size() % 8 != 0 || read.wrapped.size() < 24)
    key.refuse("\"wrapped\" is no wrapped key (RFC 3394, 2.2.1)");
  return read;
}

Backup read_members(const Json& json, const std::string& where) {
  const Members file(json, where);
  if (file.text("format") != kFormat) file.refuse("it is not of the format hsmith key backup v1");
  Backup backup;
  const auto created = parse_time(file.text("created"));
  if (!created) file.refuse("\"created\" is no time");
  backup.created = *created;
  const Members token = file.object("token");
  backup.token_label = token.text("label");
  backup.manufacturer = token.text("manufacturer");
  backup.model = token.text("model");
  backup.serial = token.text("serial");
  const Members wrapping = file.object("wrapping_key");
  backup.wrapping_label = wrapping.text("label");
  backup.wrapping_id = wrapping.id("id");
  backup.check_value = wrapping.text("check_value", 16);
  backup.mechanism = file.text("mechanism");
  if (std::find(kMechanisms.begin(), kMechanisms.end(), backup.mechanism) == kMechanisms.end())
    file.refuse(fmt::format("keys wrapped by {} are not restored", quoted(backup.mechanism)));
  backup.padding = file.text("padding");
  const Json& keys = file.list("keys", kMostKeys);
  if (keys.empty()) file.refuse("it holds no key");
  for (std::size_t i = 0; i < keys.size(); ++i)
    backup.keys.push_back(read_key(keys[i], fmt::format("{}: key {}", where, i + 1)));
  const Json& signatures = file.list("signatures", kMostKeys);
  if (signatures.size() != keys.size()) file.refuse("it has not one signature a key");
  for (std::size_t i = 0; i < signatures.size(); ++i)
    backup.keys[i].signature = file.bytes(signatures[i], "signatures", 1024);
  return backup;
}

}  // namespace

std::string backup_text(const Backup& backup) {
  Json json = unsigned_json(backup);
  json["signatures"] = Json::array();
  for (const BackedUpKey& key : backup.keys) json["signatures"].push_back(base64(key.signature));
  return json.dump(2) + "\n";
}

Backup read_backup(ByteView content, const std::string& name) {
  const std::string where = "read the backup " + name;
  const Json json = is_json(as_text(content)) ? parse_json(as_text(content)) : Json();
  if (!json.is_object()) throw Error(Kind::malformed, where + ": it is no key backup");
  Backup backup = read_members(json, where);
  // Nothing else may be in it: what is not signed is not there.
  if (!equal(as_bytes(backup_text(backup)), content))
    throw Error(Kind::malformed, where + ": it is not as hsmith writes it: it was edited");
  return backup;
}

Bytes backup_to_sign(const Backup& backup) {
  const std::string text = unsigned_json(backup).dump(2);
  Bytes to_sign = to_bytes(as_bytes(kFormat));
  to_sign.push_back(0);
  const Bytes hash = ossl::digest(ossl::digest_named("sha256"), as_bytes(text));
  to_sign.insert(to_sign.end(), hash.begin(), hash.end());
  return to_sign;
}

bool verify_backup_signature(const BackedUpKey& key, ByteView to_sign) {
  const ossl::Scheme scheme = ossl::choose_scheme(key.public_key.get(), "", "");
  return ossl::verify(key.public_key.get(), scheme, ossl::digest(*scheme.digest, to_sign),
                      key.signature);
}

}  // namespace hsmith::tokens
