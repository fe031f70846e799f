#include "cli/repair.h"

#include <algorithm>
#include <fmt/format.h>

#include "cli/authority_repair.h"
#include "cli/chain_store.h"
#include "cli/changes.h"
#include "cli/pending.h"
#include "cli/renewal.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "tokens/certificates.h"
#include "tokens/keys.h"
#include "tokens/links.h"
#include "tokens/quirks.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

using tokens::Inventory;
using tokens::Key;
using tokens::OpenToken;

std::string fact(const journal::Entry& entry, const char* name) {
  const auto found = entry.intent.facts.find(name);
  return found != entry.intent.facts.end() && found->is_string() ? found->get<std::string>() : "";
}

// True of a key that is made able to sign only for its own request.
bool may_not_sign(const journal::Entry& entry) {
  const auto found = entry.intent.facts.find("may_sign");
  return found != entry.intent.facts.end() && *found == false;
}

// What the entry's label stands for on the token now, or its id where the token's labels are its
// own. A public key that is known and differs is another key under the same name: not ours.
// A new key gets its id last; a `Whole` one had its own when it was begun with.
enum class Whole { no, yes };
struct Remains {
  std::vector<Key> private_keys;
  std::vector<Key> public_keys;
};

Remains remains_of(const OpenToken& token, const Inventory& inventory, const journal::Entry& entry,
                   Whole whole) {
  const std::string known = fact(entry, "public_key");
  const std::string label = fact(entry, "label");
  const bool by_label = !tokens::quirks_of(token.info).fixed_labels;
  const bool by_id = !by_label || whole == Whole::yes;
  const auto id = parse_hex(fact(entry, "id")).value_or(Bytes{});
  const auto ours = [&](const Key& key) {
    const bool differs =
        !known.empty() && key.public_key && hex(ossl::spki_of(key.public_key.get())) != known;
    return (!by_id || key.id == id) && (!by_label || key.label == label) && !differs;
  };
  Remains remains;
  for (const Key& key : inventory.private_keys) {
    if (ours(key)) remains.private_keys.push_back(key);
  }
  for (const Key& key : inventory.public_keys) {
    if (ours(key)) remains.public_keys.push_back(key);
  }
  return remains;
}

// Where a name stands for several keys none is touched: which one was meant is not known.
std::optional<Repaired> ambiguous(const std::vector<Key>& keys, const journal::Entry& entry) {
  if (keys.size() < 2) return std::nullopt;
  return Repaired{
      false,
      fmt::format("several keys have the label {}; delete what is too many: hsmith key delete",
                  quoted(fact(entry, "label")))};
}

Repaired delete_private(const OpenToken& token, const Inventory& inventory, const Key& key,
                        const Context& context, const std::string& why) {
  if (tokens::quirks_of(token.info).keeps_keys) {
    return {true, fmt::format("{}, and the token cannot delete {}: make another in its place with "
                              "hsmith key generate --login-as so --replace {}",
                              why, key.uri, hex(key.id))};
  }
  const tokens::KeyObjects objects = tokens::objects_of(inventory, key);
  if (!objects.certificates.empty())
    return {true, fmt::format("{} has a certificate and stays", key.uri)};
  if (!context.options.yes)
    return {false, fmt::format("{}; to delete {} run: hsmith doctor --repair --yes", why, key.uri)};
  tokens::destroy(token, objects);
  return {true, fmt::format("deleted {}: {}", key.uri, why)};
}

void delete_public(const OpenToken& token, const std::vector<Key>& keys, std::string& text) {
  for (const Key& key : keys) {
    token.session->destroy(key.handle);
    text += fmt::format("{}deleted {}: its private key is not there", text.empty() ? "" : "; ",
                        key.uri);
  }
}

// The URI of the key that a new one was to replace, while both are there.
std::optional<std::string> replaced_key(const Inventory& inventory, const journal::Entry& entry,
                                        EVP_PKEY* made) {
  const auto found = entry.intent.facts.find("replaces");
  if (found == entry.intent.facts.end() || !found->is_object()) return std::nullopt;
  const auto id = parse_hex(found->value("id", ""));
  for (const Key& key : inventory.private_keys) {
    if (key.id != id) continue;
    try {
      if (!ossl::same_public_key(tokens::public_key_of(inventory, key).get(), made)) return key.uri;
    } catch (const Error&) {  // without a public half it is not known to be the new one
      return key.uri;
    }
  }
  return std::nullopt;
}

// A pair that was made but not yet given its identity becomes whole; a half goes.
Repaired repair_generation(const OpenToken& token, const journal::Entry& entry,
                           const Context& context) {
  const Inventory inventory = tokens::take_inventory(token);
  const Remains remains = remains_of(token, inventory, entry, Whole::no);
  if (remains.private_keys.empty()) {
    std::string text;
    delete_public(token, remains.public_keys, text);
    return {true, text.empty() ? "nothing was made" : text};
  }
  if (const auto stop = ambiguous(remains.private_keys, entry)) return *stop;
  if (const auto stop = ambiguous(remains.public_keys, entry)) return *stop;
  const Key& key = remains.private_keys.front();
  // A private RSA key knows its public half, but other programs look for the object.
  EVP_PKEY* half =
      remains.public_keys.empty() ? nullptr : remains.public_keys.front().public_key.get();
  if (half == nullptr)
    return delete_private(token, inventory, key, context, "it has no public half");
  if (!tokens::holds_private_half(token, key, half))
    return delete_private(token, inventory, key, context, "its public half is another key's");
  tokens::complete_identity(token, key, remains.public_keys, half);
  if (may_not_sign(entry)) tokens::forbid_signing(token, key);
  const std::string request = fact(entry, "request");
  const std::string whole = fmt::format("the key {} is whole", quoted(key.label));
  const auto old = replaced_key(inventory, entry, half);
  if (old)
    return {true, fmt::format("{}; {}, which it was to replace, is still there", whole, *old)};
  if (request.empty()) return {true, whole};
  return {true,
          fmt::format("the key {} is whole; if its request was not written: hsmith request new {}",
                      quoted(key.label), printable(key.label))};
}

// Of a key that was made for an archive the request has the only copy: without it the key is of no
// use.
Repaired repair_archival(const OpenToken& token, const journal::Entry& entry, Context& context) {
  const std::string request = fact(entry, "request");
  if (request != "-" && std::filesystem::exists(request)) {
    return {true, fmt::format("the key {} is whole, and its request is in {}",
                              quoted(fact(entry, "label")), quoted(request))};
  }
  Repaired repaired = repair_unused_key(token, entry, context);
  const auto half = parse_hex(fact(entry, "public_key"));
  if (repaired.settled && half)
    forget_request(context.environment.state_folder, ossl::public_key_from_spki(*half).get());
  return repaired;
}

// A request by a key that was there before: nothing but its use can have been changed.
Repaired repair_request(const OpenToken& token, const journal::Entry& entry) {
  const auto id = parse_hex(fact(entry, "id")).value_or(Bytes{});
  for (const Key& key : tokens::take_inventory(token).private_keys) {
    if (key.id != id || key.label != fact(entry, "label")) continue;
    if (may_not_sign(entry)) tokens::forbid_signing(token, key);
    return {true, fmt::format("{} is as it was; if its request was not written: hsmith request "
                              "new {}",
                              key.uri, printable(key.label))};
  }
  return {true, "the key is no longer there"};
}

// It is one object, made at once: there or not.
Repaired repair_wrapping_key(const OpenToken& token, const journal::Entry& entry) {
  for (const Key& key : tokens::take_inventory(token).secret_keys) {
    if (key.label == fact(entry, "label") && hex(key.id) == fact(entry, "id"))
      return {true, fmt::format("the wrapping key {} is whole", key.uri)};
  }
  return {true, "nothing was made"};
}

Repaired repair_rename(const OpenToken& token, const journal::Entry& entry) {
  const Inventory inventory = tokens::take_inventory(token);
  const auto id = parse_hex(fact(entry, "id")).value_or(Bytes{});
  const std::string from = fact(entry, "from");
  const std::string to = fact(entry, "to");
  for (const Key& key : inventory.private_keys) {
    if (key.id != id || (key.label != from && key.label != to)) continue;
    tokens::rename(token, tokens::objects_of(inventory, key), to);
    return {true, fmt::format("the key and what goes with it have the label {}", quoted(to))};
  }
  return {true, "the key is no longer there"};
}

Repaired repair_deletion(const OpenToken& token, const journal::Entry& entry,
                         const Context& context) {
  const Inventory inventory = tokens::take_inventory(token);
  const Remains remains = remains_of(token, inventory, entry, Whole::yes);
  if (const auto stop = ambiguous(remains.private_keys, entry)) return *stop;
  if (!remains.private_keys.empty()) {
    return delete_private(token, inventory, remains.private_keys.front(), context,
                          "its deletion was interrupted");
  }
  std::string text;
  delete_public(token, remains.public_keys, text);
  return {true, text.empty() ? "the deletion is complete" : text};
}

// Objects of a certificate that were begun and not finished; `labels` are those of a whole one.
void delete_half_made(const OpenToken& token, const Bytes& der, const Bytes& id,
                      const std::vector<std::string>& labels) {
  const Inventory inventory = tokens::take_inventory(token);
  const bool any_label = tokens::quirks_of(token.info).fixed_labels;
  for (const tokens::TokenCertificate& there : inventory.certificates) {
    const bool labelled =
        any_label || std::find(labels.begin(), labels.end(), there.label) != labels.end();
    if (there.der == der && !(labelled && there.id == id)) tokens::destroy(token, there);
  }
  for (const tokens::BrokenObject& broken : inventory.broken) {
    if (broken.object_class != CKO_CERTIFICATE) continue;
    pkcs11::Template ours;
    ours.set_number(CKA_CLASS, CKO_CERTIFICATE).set(CKA_ID, id);
    const auto handles = token.session->find(ours, 20);
    if (std::find(handles.begin(), handles.end(), broken.handle) != handles.end())
      token.session->destroy(broken.handle);
  }
}

// A certificate object that was begun is made anew: the journal has the certificate.
Repaired repair_installation(const OpenToken& token, const journal::Entry& entry) {
  const auto der = parse_hex(fact(entry, "certificate"));
  if (!der) return {true, "the journal does not say which certificate it was"};
  const ossl::Certificate certificate = x509::certificate_from_der(*der, "the journal");
  const auto succession = succession_in(entry.intent.facts);
  std::vector<std::string> labels{fact(entry, "label")};
  if (succession) labels.push_back(succession->name);
  delete_half_made(token, *der, parse_hex(fact(entry, "id")).value_or(Bytes{}), labels);
  const Inventory inventory = tokens::take_inventory(token);
  const Key& key =
      tokens::key_of_certificate(inventory, certificate.get(), "the certificate in the journal");
  // Under either of its labels: it may have the later one already.
  const bool installed = std::any_of(inventory.certificates.begin(), inventory.certificates.end(),
                                     [&](const auto& one) { return one.der == *der; });
  if (!installed) tokens::install(token, inventory, key, certificate.get());
  if (succession) succeed(token, *succession);
  return {true, fmt::format("the certificate of {} is installed", key.uri)};
}

// An imported pair becomes whole, and the certificates that came with it are installed.
Repaired repair_import(const OpenToken& token, const journal::Entry& entry,
                       const Context& context) {
  Repaired made = repair_generation(token, entry, context);
  const Json certificates = entry.intent.facts.value("certificates", Json::array());
  for (const auto& one : certificates) {
    const Inventory inventory = tokens::take_inventory(token);
    const Remains remains = remains_of(token, inventory, entry, Whole::no);
    const auto der = one.is_string() ? parse_hex(one.get<std::string>()) : std::nullopt;
    if (!made.settled || remains.private_keys.size() != 1 || !der) break;
    const Key& key = remains.private_keys.front();
    delete_half_made(token, *der, key.id, {key.label});
    const ossl::Certificate certificate = x509::certificate_from_der(*der, "the journal");
    tokens::install(token, tokens::take_inventory(token), key, certificate.get());
    made.text += fmt::format("; the certificate of {} is installed", key.uri);
  }
  return made;
}

// The new certificate is put there, then what it was to retire goes.
Repaired repair_chain(const OpenToken& token, const journal::Entry& entry, Context& context) {
  const auto der = parse_hex(fact(entry, "certificate"));
  if (!der) return {true, "the journal does not say which certificate it was"};
  const ossl::Certificate certificate = x509::certificate_from_der(*der, "the journal");
  const std::string fingerprint = x509::certificate_sha256(certificate.get());
  const Bytes id = parse_hex(fact(entry, "id")).value_or(Bytes{});
  std::vector<std::string> retires;
  if (entry.intent.facts.contains("retires") && entry.intent.facts["retires"].is_array()) {
    for (const auto& one : entry.intent.facts["retires"])
      if (one.is_string()) retires.push_back(one.get<std::string>());
  }
  delete_half_made(token, *der, id, {fact(entry, "label")});
  auto present = chain_certificates(tokens::take_inventory(token), context);
  const bool there = std::any_of(present.begin(), present.end(), [&](const auto& one) {
    return one.facts.sha256 == fingerprint && one.place != ChainPlace::retired;
  });
  if (!there) put_chain_certificate(token, certificate.get(), fact(entry, "label"), id, context);
  for (const ChainCertificate& one : present) {
    const bool goes = std::find(retires.begin(), retires.end(), one.facts.sha256) != retires.end();
    if (goes && one.place != ChainPlace::retired) retire_chain_certificate(token, one, context);
  }
  return {true, fmt::format("the certificate {} is installed", quoted(fact(entry, "label")))};
}

Repaired repair_links(const OpenToken& token, const journal::Entry& entry) {
  for (const tokens::Links& links :
       tokens::survey_links(token, tokens::take_inventory(token)).keys) {
    if (hex(ossl::spki_of(links.public_half.get())) != fact(entry, "public_key")) continue;
    tokens::relink(token, links);
    return {true, fmt::format("what goes with {} is linked", links.key.uri)};
  }
  return {true, "the key is no longer there"};
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
  return {true, fmt::format("{} was interrupted", operation)};
}

// The user PIN of a new token is the security officer's to set: what is missing is only told.
Repaired repair_initialisation(const journal::Entry& entry, Context& context) {
  const tokens::Reach way = reach(context);
  const auto lock = tokens::lock_module(way.module_path, way.lock_folder);
  const auto module = tokens::start_module(way);
  const std::string label = fact(entry, "label");
  for (const CK_SLOT_ID slot : module->slots(CK_TRUE)) {
    const pkcs11::TokenInfo token = module->token_info(slot);
    if (!token.has(CKF_TOKEN_INITIALIZED) || token.label != label) continue;
    if (token.has(CKF_USER_PIN_INITIALIZED))
      return {true, fmt::format("the token {} has its user PIN", quoted(label))};
    return {true,
            fmt::format("the token {} lacks its user PIN: hsmith token pin unblock --token {}",
                        quoted(label), printable(label))};
  }
  return {true, fmt::format("there is no token {}", quoted(label))};
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

}  // namespace

Repaired repair_unused_key(const OpenToken& token, const journal::Entry& entry,
                           const Context& context) {
  const Inventory inventory = tokens::take_inventory(token);
  const Remains remains = remains_of(token, inventory, entry, Whole::no);
  if (const auto stop = ambiguous(remains.private_keys, entry)) return *stop;
  if (!remains.private_keys.empty())
    return delete_private(token, inventory, remains.private_keys.front(), context,
                          "what it was made for was interrupted");
  std::string text;
  delete_public(token, remains.public_keys, text);
  return {true, text.empty() ? "nothing was made" : text};
}

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
  Repaired repaired;
  if (const auto known = without_login(entry, context)) {
    repaired = *known;
  } else {
    tokens::Reach way = reach(context);
    way.token = tokens::parse_token_choice("serial:" + entry.intent.token_serial);
    // NSS gives all its tokens one serial number. A label that is not UTF-8 is not in the journal.
    if (entry.intent.token_label.find("\uFFFD") == std::string::npos)
      way.token.label = entry.intent.token_label;
    const OpenToken token = open_as(fact(entry, "login_as") == "so" ? "so" : "user", context, way);
    const auto lock = tokens::lock_token(way, token.info);
    record(
        context,
        {{"event", "repair"}, {"operation", entry.intent.operation}, {"facts", entry.intent.facts}},
        audit::Flush::yes);
    repaired = dispatch(token, entry, context);
  }
  if (repaired.settled) journal::end(entry.file);
  return repaired;
}

}  // namespace hsmith::cli
