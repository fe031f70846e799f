// hsmith key show: all that the token says about one key.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/key_output.h"
#include "cli/key_protection.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "tokens/secret_keys.h"

namespace hsmith::cli {
namespace {

std::string claim_text(tokens::Claim claim) {
  if (!claim) return "not claimed";
  return *claim ? "yes" : "no";
}

std::string text_of(const tokens::Key& key, const Json& data) {
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{:<20} {}\n", name, value);
  };
  line("label", printable(key.label));
  line("id", hex(key.id));
  line("uri", key.uri);
  line("type", tokens::type_name(key));
  line("use", uses_text(key));
  line("protection", data["protection"].get<std::string>());
  line("sensitive", claim_text(key.sensitive));
  line("always sensitive", claim_text(lifelong(key, key.always_sensitive)));
  line("extractable", claim_text(key.extractable));
  line("never extractable", claim_text(lifelong(key, key.never_extractable)));
  line("made on the token", claim_text(key.local));
  if (data.contains("trusted")) line("trusted", data["trusted"].get<bool>() ? "yes" : "no");
  line("login for each use", key.always_authenticate ? "yes" : "no");
  if (data.contains("public_key_sha256")) {
    line("public key (sha256)", data["public_key_sha256"].get<std::string>());
  }
  for (const auto& certificate : data["certificates"])
    line("certificate", certificate.get<std::string>());
  return text;
}

Outcome run(const std::string& name, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(name);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only, &selector);
  tokens::Key key = tokens::find_one_of_both(token, selector);
  const tokens::Inventory inventory = tokens::take_inventory(token);
  const tokens::KeyObjects objects = tokens::objects_of(inventory, key);
  if (!key.public_key && key.object_class == CKO_PRIVATE_KEY) {
    try {
      key.public_key = {tokens::public_key_of(inventory, key).release(), EVP_PKEY_free};
    } catch (const Error& error) {
      if (error.kind() != Kind::not_found) throw;
      context.warn(error.what());
    }
  }
  Outcome outcome;
  outcome.data = key_json(token, key);
  outcome.data["certificates"] = Json::array();
  for (const auto& certificate : objects.certificates)
    outcome.data["certificates"].push_back(certificate.uri);
  outcome.text = text_of(key, outcome.data);
  return outcome;
}

}  // namespace

void add_key_show(Arguments& command, Context& context) {
  auto name = std::make_shared<std::string>();
  command.add_option("KEY", *name, "Label, id:HEX or PKCS#11 URI").required();
  command.footer("Examples:\n  hsmith key show web\n  hsmith key show id:0a0b --json");
  command.callback(
      [name, &context] { context.run = [name, &context] { return run(*name, context); }; });
}

}  // namespace hsmith::cli
