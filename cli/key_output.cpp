#include "cli/key_output.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "src/ossl/algorithms.h"
#include "tokens/whole_key.h"

namespace hsmith::cli {
namespace {

std::vector<std::string> uses_of(const tokens::Key& key) {
  std::vector<std::string> uses;
  if (key.sign == true) uses.emplace_back("sign");
  if (key.decrypt == true) uses.emplace_back("decrypt");
  if (key.derive == true) uses.emplace_back("derive");
  if (key.wrap == true) uses.emplace_back("wrap");
  if (key.unwrap == true) uses.emplace_back("unwrap");
  return uses;
}

}  // namespace

std::string uses_text(const tokens::Key& key) {
  const std::vector<std::string> uses = uses_of(key);
  if (!uses.empty()) return fmt::format("{}", fmt::join(uses, ","));
  return key.sign || key.decrypt || key.derive ? "none" : "unknown";
}

tokens::Claim lifelong(const tokens::Key& key, tokens::Claim claim) {
  if (claim == true && key.local == false) return std::nullopt;
  return claim;
}

std::string protection_text(const tokens::Key& key) {
  // One of the two flags is enough that no value is shown (PKCS#11 2.40, 4.9), but a key that is
  // not sensitive claims little: OpenSC 0.23 says so of a card's own keys.
  if (key.extractable == true || (key.sensitive == false && key.extractable != false))
    return "EXPORTABLE";
  if (key.extractable != false || key.sensitive != true) return "not claimed";
  if (key.never_extractable == true && key.local == true) return "non-exportable";
  return "non-exportable, was outside";
}

Json key_json(const tokens::Key& key) {
  Json json = Json::object();
  if (!key.label.empty()) json["label"] = json_text(key.label);
  if (!key.id.empty()) json["id"] = hex(key.id);
  json["uri"] = key.uri;
  json["type"] = tokens::type_name(key);
  json["uses"] = uses_of(key);
  json["protection"] = protection_text(key);
  const auto claim = [&](const char* name, tokens::Claim is) {
    if (is) json[name] = *is;
  };
  claim("sensitive", key.sensitive);
  claim("extractable", key.extractable);
  claim("always_sensitive", lifelong(key, key.always_sensitive));
  claim("never_extractable", lifelong(key, key.never_extractable));
  claim("local", key.local);
  claim("modifiable", key.modifiable);
  json["always_authenticate"] = key.always_authenticate;
  if (key.public_key) {
    const auto& sha256 = ossl::digest_named("sha256");
    json["public_key_sha256"] = hex(ossl::digest(sha256, ossl::spki_of(key.public_key.get())));
  }
  return json;
}

void warn_of_broken(const tokens::Inventory& inventory, Context& context) {
  for (const tokens::BrokenObject& broken : inventory.broken) {
    context.warn(
        fmt::format("object {} on the token cannot be read: {}", broken.handle, broken.reason));
  }
}

tokens::Inventory inventory_for_change(const tokens::OpenToken& token, Context& context) {
  tokens::Inventory inventory = tokens::take_inventory(token);
  warn_of_broken(inventory, context);
  return inventory;
}

tokens::KeyObjects objects_for_change(const tokens::OpenToken& token, const tokens::Key& key,
                                      Context& context) {
  return tokens::whole_key(token, inventory_for_change(token, context), key);
}

}  // namespace hsmith::cli
