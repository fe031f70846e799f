#include "cli/repair.h"

#include <fmt/format.h>

#include "cli/authority_repair.h"
#include "cli/certificate_repair.h"
#include "cli/changes.h"
#include "cli/key_repair.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"

namespace hsmith::cli {

std::string fact(const journal::Entry& entry, const char* name) {
  const auto found = entry.intent.facts.find(name);
  return found != entry.intent.facts.end() && found->is_string() ? found->get<std::string>() : "";
}

namespace {

using tokens::OpenToken;

[[noreturn]] void refuse_entry(const journal::Entry& entry, const std::string& why) {
  throw Error(Kind::malformed, why)
      .hint(fmt::format("when nothing is amiss, delete {}", quoted(entry.file.string())));
}

// What the entry's operation goes by, besides what it learned on its way.
std::vector<std::string> needed_facts(const journal::Entry& entry) {
  const Json& facts = entry.intent.facts;
  const std::string& operation = entry.intent.operation;
  const bool is_secret = facts.contains("class");
  if (facts.contains("type")) return {"label"};
  if (operation == "key rename") return {"from", "to", "id", is_secret ? "class" : "public_key"};
  const bool of_a_key = operation == "key delete" || operation.starts_with("request ") ||
                        (operation == "cert retire" && facts.contains("label"));
  if (operation == "request complete") return {"certificate", "label", "id"};
  if (of_a_key || operation == "renew") return {"label", "id", is_secret ? "class" : "public_key"};
  if (operation.starts_with("key ")) return {"label", "type"};
  return {};
}

// An entry that lacks something of that, or has it damaged, has less to go by: more would be taken
// for its own.
void check_facts(const journal::Entry& entry) {
  const Json& facts = entry.intent.facts;
  if (!facts.is_object()) refuse_entry(entry, "it is damaged");
  for (const std::string& name : needed_facts(entry)) {
    if (!facts.contains(name)) refuse_entry(entry, fmt::format("it lacks its {}", quoted(name)));
  }
  for (const auto& [name, value] : facts.items()) {
    const bool is_hex = name == "id" || name == "public_key";
    const bool is_text = name == "label" || name == "from" || name == "to" || name == "type" ||
                         name == "class" || name == "use";
    if (!is_hex && !is_text) continue;
    const bool has_text = value.is_string() && !value.get<std::string>().empty();
    if (!value.is_string() || (is_hex && has_text && !parse_hex(value.get<std::string>())))
      refuse_entry(entry, fmt::format("its {} is damaged", quoted(name)));
  }
}

Repaired dispatch(const OpenToken& token, const journal::Entry& entry, Context& context) {
  const std::string& operation = entry.intent.operation;
  const bool made_key = entry.intent.facts.contains("type");
  const bool deleted_key = entry.intent.facts.contains("label");
  const bool request = operation == "request new" || operation == "renew";
  if (request && !made_key) return repair_request(token, entry);
  if (operation == "key generate" && fact(entry, "use") == "wrap")
    return repair_wrapping_key(token, entry);
  if (request && entry.intent.facts.contains("archive"))
    return repair_archival(token, entry, context);
  if (operation == "key import" || operation == "key restore" ||
      (operation == "recover" && made_key))
    return repair_import(token, entry, context);
  if (operation == "key generate" || request) return repair_generation(token, entry, context);
  if (operation == "ca init") return repair_authority(token, entry, context);
  if (operation == "ca renew") return repair_renewal(token, entry, context);
  if (operation == "ca exchange-cert" && made_key) return repair_generation(token, entry, context);
  if (operation == "ca exchange-cert")
    return {true, "nothing is half done: the certificate is on record or it is not"};
  if (fact(entry, "class") == "secret")
    return {true, "nothing is half done: a secret key is one object, changed or not"};
  if (operation == "key rename") return repair_rename(token, entry);
  if (operation == "key delete" || operation == "request cancel" ||
      (operation == "cert retire" && deleted_key))
    return repair_deletion(token, entry, context);
  if (operation == "request complete" || operation == "cert install" || operation == "recover")
    return repair_installation(token, entry);
  if (operation == "chain install") return repair_chain(token, entry, context);
  if (operation == "cert repair") return repair_links(token, entry);
  if (operation == "cert delete" || operation == "cert retire" || operation == "chain remove")
    return {true, "nothing is half done: the certificate is there or it is not"};
  refuse_entry(entry, "this hsmith has no such command");
}

// The user PIN of a new token is the security officer's to set: what is missing is only told.
Repaired repair_initialisation(const journal::Entry& entry, Context& context) {
  const tokens::Reach way = reach(context);
  const auto lock = tokens::lock_module(way.module_path, way.lock_folder);
  const auto module = tokens::start_module(way);
  const std::string label = fact(entry, "label");
  bool untouched = false;  // what was to be initialised is as it was
  for (const CK_SLOT_ID slot : module->slots(CK_TRUE)) {
    const pkcs11::TokenInfo token = module->token_info(slot);
    const bool is_target =
        token.serial == entry.intent.token_serial &&
        (token.has(CKF_TOKEN_INITIALIZED) ? token.label == entry.intent.token_label
                                          : entry.intent.facts.value("slot", Json()) == slot);
    untouched = untouched || is_target;
    if (!token.has(CKF_TOKEN_INITIALIZED) || token.label != label) continue;
    if (token.has(CKF_USER_PIN_INITIALIZED))
      return {true, fmt::format("the token {} has its user PIN", quoted(label))};
    return {true,
            fmt::format("the token {} lacks its user PIN: hsmith token pin unblock --token {}",
                        quoted(label), shell_word(label))};
  }
  if (untouched) return {true, fmt::format("the token {} was not made", quoted(label))};
  return {false, fmt::format("the module {} has no token {}: name the right one with --module, or, "
                             "when nothing is amiss, delete {}",
                             quoted(way.module_path), quoted(label), quoted(entry.file.string()))};
}

// No login can tell what became of a PIN; the user must.
std::optional<Repaired> without_login(const journal::Entry& entry, Context& context) {
  const std::string& operation = entry.intent.operation;
  if (operation == "token init") return repair_initialisation(entry, context);
  if (operation == "ca issue") return repair_issue(entry, context);
  if (operation == "archive submit") return repair_submission(entry, context);
  if (operation == "ca revoke" || operation == "ca restore" || operation == "ca crl")
    return Repaired{true, "nothing is half done: it is on record or it is not"};
  if (operation.starts_with("token pin")) {
    return Repaired{true,
                    fmt::format("the user PIN of the token {} is either the old or the new one",
                                quoted(entry.intent.token_label))};
  }
  return std::nullopt;
}

// The PIN at hand is that of the token that options or settings name; it goes to no other.
std::optional<Repaired> is_for_another_token(const journal::Intent& intent,
                                             const tokens::TokenChoice& named) {
  const bool is_other = (named.label && *named.label != intent.token_label) ||
                        (named.serial && *named.serial != intent.token_serial);
  if (!is_other) return std::nullopt;
  return Repaired{false, fmt::format("the PIN at hand is for another token; repair it with: hsmith "
                                     "doctor --repair --token {}",
                                     shell_word(intent.token_label))};
}

// A token that was made anew, or is gone, is the user's to tell.
OpenToken open_token_of(const journal::Entry& entry, Context& context, const tokens::Reach& way) {
  try {
    return open_as(fact(entry, "login_as") == "so" ? "so" : "user", context, way);
  } catch (const Error& error) {
    if (error.kind() != Kind::not_found) throw;
    throw Error(error).hint(
        fmt::format("{}; when the token is gone for good, or was made anew, "
                    "delete {}",
                    error.hint(), quoted(entry.file.string())));
  }
}

Repaired repair_on_token(const journal::Entry& entry, Context& context) {
  tokens::Reach way = reach(context);
  if (const auto stop = is_for_another_token(entry.intent, way.token)) return *stop;
  const tokens::TokenChoice named = way.token;
  way.token = tokens::parse_token_choice("serial:" + entry.intent.token_serial);
  way.token.model = named.model;
  way.token.manufacturer = named.manufacturer;
  way.token.slot = named.slot;
  // NSS gives all its tokens one serial number. A label that is not UTF-8 is not in the journal.
  if (entry.intent.token_label.find("\uFFFD") == std::string::npos)
    way.token.label = entry.intent.token_label;
  const OpenToken token = open_token_of(entry, context, way);
  const auto lock = tokens::lock_token(way, token.info);
  record(
      context,
      {{"event", "repair"}, {"operation", entry.intent.operation}, {"facts", entry.intent.facts}},
      audit::Flush::yes);
  return dispatch(token, entry, context);
}

}  // namespace

std::string describe(const journal::Entry& entry) {
  if (!entry.unreadable.empty())
    return fmt::format("{} cannot be read: {}", quoted(entry.file.string()), entry.unreadable);
  std::string about = fact(entry, "label");
  if (about.empty()) about = fact(entry, "from");
  return fmt::format("{} on the token {} was interrupted at {}{}", entry.intent.operation,
                     quoted(entry.intent.token_label), rfc3339(entry.time),
                     about.empty() ? "" : ": " + quoted(about));
}

Repaired repair(const journal::Entry& entry, Context& context) {
  if (!entry.unreadable.empty())
    return {false, describe(entry) + "; delete the file when nothing is amiss"};
  check_facts(entry);
  const auto known = without_login(entry, context);
  const Repaired repaired = known ? *known : repair_on_token(entry, context);
  if (repaired.settled) journal::end(entry.file);
  return repaired;
}

}  // namespace hsmith::cli
