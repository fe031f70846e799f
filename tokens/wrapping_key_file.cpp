#include "tokens/wrapping_key_file.h"

#include <fmt/format.h>

#include "src/base/base64.h"
#include "src/base/error.h"
#include "src/base/json.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/rsa_encryption.h"
#include "tokens/json_members.h"
#include "tokens/wrapping.h"

namespace hsmith::tokens {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kFormat[] = "hsmith wrapping key v1";
constexpr char kEncryption[] = "RSA-OAEP with sha256";
constexpr std::size_t kMostRecipients = 20;
constexpr std::size_t kValueSize = 32;

std::string key_sha256(const EVP_PKEY* key) {
  return hex(ossl::digest(ossl::digest_named("sha256"), ossl::spki_of(key)));
}

WrappingKeyFile::Recipient read_recipient(const Json& json, const std::string& where) {
  if (!json.is_object()) throw Error(Kind::malformed, where + ": a recipient is no object");
  const Members members(json, where);
  if (members.text("encryption") != kEncryption)
    members.refuse(fmt::format("\"encryption\" is not {}", kEncryption));
  return {members.text("public_key_sha256", 64),
          members.bytes(members.member("encrypted"), "encrypted", 2048)};
}

}  // namespace

WrappingKeyFile seal_wrapping_key(const Secret& value, const std::string& label, const Bytes& id,
                                  const std::vector<ossl::PKey>& recipients) {
  const ossl::DigestType& sha256 = ossl::digest_named("sha256");
  const ossl::RsaEncryption oaep{ossl::RsaPadding::oaep, &sha256, &sha256};
  WrappingKeyFile file{label, id, check_value(value), {}};
  for (const ossl::PKey& key : recipients) {
    const bool fits =
        EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key.get()) >= 2048;
    if (!fits) {
      throw Error(Kind::refused,
                  fmt::format("encrypt a wrapping key for a key of type {}: it must be RSA of at "
                              "least 2048 bits",
                              ossl::key_type_name(key.get())))
          .hint(
              "make one on the other token: hsmith key generate NAME --type rsa:3072 --use "
              "decrypt");
    }
    file.recipients.push_back(
        {key_sha256(key.get()), ossl::rsa_encrypt(key.get(), oaep, value.reveal())});
  }
  return file;
}

std::string wrapping_key_text(const WrappingKeyFile& file) {
  Json json;
  json["format"] = kFormat;
  json["label"] = file.label;
  json["id"] = hex(file.id);
  json["type"] = "aes:256";
  json["check_value"] = file.check_value;
  json["recipients"] = Json::array();
  for (const WrappingKeyFile::Recipient& one : file.recipients) {
    json["recipients"].push_back({{"public_key_sha256", one.public_key_sha256},
                                  {"encryption", kEncryption},
                                  {"encrypted", base64(one.encrypted)}});
  }
  return json.dump(2) + "\n";
}

WrappingKeyFile read_wrapping_key(ByteView content, const std::string& name) {
  const std::string where = "read the wrapping key " + name;
  const Json json = is_json(as_text(content)) ? parse_json(as_text(content)) : Json();
  if (!json.is_object()) throw Error(Kind::malformed, where + ": it is no wrapping key");
  const Members members(json, where);
  if (members.text("format") != kFormat || members.text("type") != "aes:256")
    members.refuse("it is not of the format hsmith wrapping key v1");
  WrappingKeyFile file{
      members.text("label"), members.id("id"), members.text("check_value", 16), {}};
  for (const Json& recipient : members.list("recipients", kMostRecipients))
    file.recipients.push_back(read_recipient(recipient, where));
  if (!equal(as_bytes(wrapping_key_text(file)), content))
    members.refuse("it is not as hsmith writes it: it was edited");
  return file;
}

Secret open_wrapping_key(const WrappingKeyFile& file, ossl::RemoteKey& key,
                         const std::string& name) {
  const std::string where = "open the wrapping key " + name;
  const std::string ours = key_sha256(key.public_key());
  const ossl::DigestType& sha256 = ossl::digest_named("sha256");
  for (const WrappingKeyFile::Recipient& one : file.recipients) {
    if (one.public_key_sha256 != ours) continue;
    ossl::DecryptedKey opened =
        key.decrypt_key({ossl::RsaPadding::oaep, &sha256, &sha256}, one.encrypted, kValueSize);
    if (opened.good && check_value(opened.key) == file.check_value) return std::move(opened.key);
    throw Error(Kind::mismatch, where + ": what it holds is not the key of its check value");
  }
  throw Error(Kind::mismatch, where + ": it was made for other keys than this one")
      .hint("make it again on the first token, with --to and this key's public key");
}

}  // namespace hsmith::tokens
