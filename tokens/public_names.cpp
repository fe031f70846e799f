#include "tokens/public_names.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "pkcs11/session.h"
#include "src/base/error.h"
#include "tokens/child_process.h"

namespace hsmith::tokens {
namespace {

using nlohmann::json;

// Nobody looks through more than this at a prompt.
constexpr std::size_t kMostObjects = 2000;

// A token may hold any bytes: texts cross the pipe as hex.
void add(json& names, const std::string& label, const Bytes& id, const Uri& uri) {
  names.push_back({hex(as_bytes(label)), hex(id), hex(as_bytes(format(uri)))});
}

void add_objects(const pkcs11::Session& session, const std::string& token, CK_OBJECT_CLASS found_as,
                 ObjectType named_as, json& names) {
  static constexpr std::array<CK_ATTRIBUTE_TYPE, 2> kNames{CKA_LABEL, CKA_ID};
  const auto wanted = pkcs11::Template().set_number(CKA_CLASS, found_as);
  for (const CK_OBJECT_HANDLE handle : session.find(wanted, kMostObjects)) {
    const pkcs11::Attributes attributes = session.get(handle, kNames);
    Uri uri;
    uri.token = token;
    uri.type = named_as;
    const std::string label = attributes.text(CKA_LABEL);
    const Bytes id = attributes.bytes(CKA_ID);
    if (!label.empty()) uri.object = label;
    if (!id.empty()) uri.id = id;
    add(names, label, id, uri);
  }
}

void add_of_token(const std::shared_ptr<pkcs11::Module>& module, CK_SLOT_ID slot,
                  const std::string& token, Nameable what, json& names) {
  const auto session = pkcs11::Session::open(module, slot, pkcs11::Access::read_only);
  if (what == Nameable::certificates) {
    add_objects(*session, token, CKO_CERTIFICATE, ObjectType::cert, names);
    return;
  }
  for (const CK_OBJECT_CLASS visible : {CKO_PUBLIC_KEY, CKO_CERTIFICATE})
    add_objects(*session, token, visible, ObjectType::private_key, names);
}

// The child's whole work.
std::string look(const ConfiguredModule& configured, const TokenChoice& choice, Nameable what) {
  json names = json::array();
  const auto module = pkcs11::Module::load({configured.path, configured.init, nullptr});
  for (const CK_SLOT_ID slot : module->slots(CK_TRUE)) {
    try {
      const pkcs11::TokenInfo token = module->token_info(slot);
      if (!token.has(CKF_TOKEN_INITIALIZED)) continue;
      if (what == Nameable::tokens) {
        add(names, token.label, {}, parse_uri(token_uri(token)));
      } else if (matches(choice, token, slot)) {
        add_of_token(module, slot, token.label, what, names);
      }
    } catch (const Error&) {  // one broken token hides no other
    }
  }
  return names.dump();
}

// No hex is no bytes.
Bytes unpacked(const json& text) { return parse_hex(text.get<std::string>()).value_or(Bytes()); }

}  // namespace

std::vector<PublicName> public_names(const ConfiguredModule& module, const TokenChoice& choice,
                                     Nameable what, std::chrono::milliseconds limit) {
  std::vector<PublicName> names;
  try {
    const std::string report =
        run_in_child("look at a module", limit, [&] { return look(module, choice, what); });
    for (const json& name : json::parse(report)) {
      names.push_back({std::string(as_text(unpacked(name.at(0)))), unpacked(name.at(1)),
                       std::string(as_text(unpacked(name.at(2))))});
    }
  } catch (const Error&) {  // what fails has no names
  }
  // A key's public key and its certificates have the same names.
  const auto same = [](const PublicName& a, const PublicName& b) { return a.uri == b.uri; };
  std::sort(names.begin(), names.end(),
            [](const PublicName& a, const PublicName& b) { return a.uri < b.uri; });
  names.erase(std::unique(names.begin(), names.end(), same), names.end());
  return names;
}

}  // namespace hsmith::tokens
