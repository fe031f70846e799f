#include "cli/changes.h"

#include <fmt/format.h>

#include "cli/machine_checks.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"

namespace hsmith::cli {

std::filesystem::path audit_file(const Context& context) {
  if (context.config.audit_file) return *context.config.audit_file;
  return context.environment.state_folder / "audit.log";
}

void record(const Context& context, Json fields, audit::Flush flush) {
  Json entry{{"command", context.command}};
  for (const auto& [name, value] : fields.items()) entry[name] = value;
  const bool always = context.config.audit_flush == AuditFlush::always;
  audit::append(audit_file(context), entry, always ? audit::Flush::yes : flush);
}

Undertaking::Undertaking(Context& context, const pkcs11::TokenInfo& token, Json facts)
    : context_(context), intent_{context.command, token.serial, token.label, std::move(facts)} {
  refuse_unsafe_state(context);
  close({{"event", "begin"}});
  context.announced = true;
  entry_ = journal::begin(context.environment.state_folder, intent_);
}

void Undertaking::know(const std::string& fact, const Json& value) {
  intent_.facts[fact] = value;
  journal::update(entry_, intent_);
}

void Undertaking::done() {
  try {
    // The log first: a change that is struck out but not in the log would be one that nobody knows.
    close({{"event", "done"}});
    journal::end(entry_);
  } catch (const Error& error) {
    throw Error(error.kind(),
                fmt::format("{} on the token {}: it is done, but its end is not on record: {}",
                            context_.command, quoted(intent_.token_label), error.what()))
        .hint("see what is open with hsmith doctor, close it with: hsmith doctor --repair")
        .unfinished();
  }
}

void Undertaking::failed(const Error& error) noexcept {
  try {
    if (!error.is_unfinished()) journal::end(entry_);
    close({{"event", "failed"},
           {"error", info(error.kind()).name},
           {"unfinished", error.is_unfinished()}});
  } catch (const std::exception&) {  // the change's own error is the one to report
  }
}

void Undertaking::close(Json fields) {
  fields["token"] = json_text(intent_.token_label);
  fields["serial"] = json_text(intent_.token_serial);
  fields["facts"] = intent_.facts;
  record(context_, std::move(fields), audit::Flush::yes);
}

void end_earlier(Context& context, const pkcs11::TokenInfo& token, X509* certificate) {
  const std::string der = hex(x509::certificate_der(certificate));
  const auto is_of_it = [&](const journal::Intent& intent) {
    const bool installs = intent.operation == "request complete" ||
                          intent.operation == "cert install" || intent.operation == "chain install";
    return installs && intent.token_serial == token.serial && intent.token_label == token.label &&
           intent.facts.is_object() && intent.facts.value("certificate", Json()) == der;
  };
  try {
    for (const journal::Entry& entry : journal::unfinished(context.environment.state_folder)) {
      if (!entry.unreadable.empty() || !is_of_it(entry.intent)) continue;
      record(context,
             {{"event", "repair"},
              {"operation", entry.intent.operation},
              {"facts", entry.intent.facts}},
             audit::Flush::yes);
      journal::end(entry.file);
    }
  } catch (const Error& error) {
    context.warn(fmt::format(
        "it is there, but what an earlier run had begun may still be in the journal: {}",
        error.what()));
  }
}

void or_done_anyway(const std::string& lack, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("it is done, but {}: {}", lack, error.what()))
        .hint("run the command again when that is mended: what is done is not done twice");
  }
}

std::vector<Change> deletions(const tokens::KeyObjects& objects) {
  std::vector<Change> changes;
  for (const auto& certificate : objects.certificates)
    changes.push_back({Change::Kind::destroy, certificate.uri});
  for (const auto& key : objects.public_keys) changes.push_back({Change::Kind::destroy, key.uri});
  changes.push_back({Change::Kind::destroy, objects.private_key.uri});
  return changes;
}

std::string public_key_fact(const tokens::Inventory& inventory, const tokens::Key& key) {
  try {
    return hex(ossl::spki_of(tokens::public_key_of(inventory, key).get()));
  } catch (const Error& error) {
    if (error.kind() != Kind::not_found) throw;
    return "";
  }
}

std::string public_key_fact(const tokens::KeyObjects& objects) {
  tokens::Inventory its;
  its.public_keys = objects.public_keys;
  its.certificates = objects.certificates;
  return public_key_fact(its, objects.private_key);
}

Json deletion_facts(const tokens::KeyObjects& objects) {
  const tokens::Key& key = objects.private_key;
  Json facts{{"label", json_text(key.label)}, {"id", hex(key.id)}};
  if (key.object_class == CKO_SECRET_KEY) {
    facts["class"] = "secret";
  } else {
    facts["public_key"] = public_key_fact(objects);
  }
  for (const tokens::TokenCertificate& one : objects.certificates)
    facts["certificates"].push_back(hex(one.der));
  return facts;
}

Outcome deleted(const std::vector<Change>& changes) {
  Outcome outcome;
  outcome.data["deleted"] = Json::array();
  for (const Change& change : changes) {
    outcome.data["deleted"].push_back(change.what);
    outcome.text += fmt::format("deleted {}\n", change.what);
  }
  return outcome;
}

}  // namespace hsmith::cli
