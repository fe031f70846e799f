#include "cli/key_protection.h"

#include <fmt/format.h>

#include "cli/key_output.h"
#include "tokens/made_key.h"
#include "tokens/reading.h"

namespace hsmith::cli {

namespace {

constexpr const char* kForBackup = "extractable only under a trusted key";

}  // namespace

std::string protection_text(const tokens::OpenToken& token, const tokens::Key& key) {
  return tokens::is_for_backup(token, key) ? kForBackup : protection_text(key);
}

Json key_json(const tokens::OpenToken& token, const tokens::Key& key) {
  Json json = key_json(key);
  if (tokens::is_for_backup(token, key)) {
    json["protection"] = kForBackup;
    json["wrap_with_trusted"] = true;
  }
  if (key.object_class != CKO_SECRET_KEY || key.wrap != true) return json;
  static constexpr CK_ATTRIBUTE_TYPE kClaims[] = {CKA_TRUSTED, CKA_MODIFIABLE};
  const pkcs11::Attributes is = token.session->get(key.handle, kClaims);
  if (const auto trusted = is.flag(CKA_TRUSTED)) json["trusted"] = *trusted;
  if (const auto modifiable = is.flag(CKA_MODIFIABLE)) json["modifiable"] = *modifiable;
  return json;
}

Json made_key_json(const tokens::OpenToken& token, const tokens::Key& key) {
  return tokens::while_doing(fmt::format("make {}: it is done, but cannot be shown", key.uri),
                             [&] { return key_json(token, key); });
}

}  // namespace hsmith::cli
