// hsmith request list: keys that wait for a certificate, with the request where it is kept.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/key_output.h"
#include "cli/pending.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/name.h"

namespace hsmith::cli {
namespace {

// The public half where anybody knows it; null for a key that is nothing but a label.
ossl::PKey half_of(const tokens::Inventory& inventory, const tokens::Key& key) {
  try {
    return tokens::public_key_of(inventory, key);
  } catch (const Error& error) {
    if (error.kind() != Kind::not_found) throw;
    return nullptr;
  }
}

Outcome run(Context& context) {
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_only);
  const tokens::Inventory inventory = tokens::take_inventory(token);
  Outcome outcome;
  outcome.data["pending"] = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const tokens::Key& key : inventory.private_keys) {
    if (!tokens::objects_of(inventory, key).certificates.empty()) continue;
    Json entry = Json::object();
    if (!key.label.empty()) entry["label"] = json_text(key.label);
    entry["uri"] = key.uri;
    entry["type"] = tokens::type_name(key);
    std::vector<std::string> row{printable(key.label), tokens::type_name(key), "-", "-"};
    const ossl::PKey half = half_of(inventory, key);
    const auto kept =
        half ? pending_request(context.environment.state_folder, half.get()) : std::nullopt;
    if (kept) {
      const std::string subject = x509::name_text(X509_REQ_get_subject_name(kept->request.get()));
      entry["subject"] = json_text(subject);
      entry["made"] = rfc3339(kept->made);
      entry["request"] = json_text(kept->file.string());
      row[2] = subject;
      row[3] = rfc3339(kept->made);
    }
    outcome.data["pending"].push_back(std::move(entry));
    rows.push_back(std::move(row));
  }
  outcome.text = table({"KEY", "TYPE", "REQUEST FOR", "MADE"}, rows);
  return outcome;
}

}  // namespace

void add_request_list(Arguments& command, Context& context) {
  command.footer("Examples:\n  hsmith request list\n  hsmith request list --token prod --json");
  command.callback([&context] { context.run = [&context] { return run(context); }; });
}

}  // namespace hsmith::cli
