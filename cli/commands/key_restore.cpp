// hsmith key restore: keys of a backup come onto the token, protected as they were.
#include <fmt/format.h>

#include "cli/backup_input.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/key_import.h"
#include "cli/key_output.h"
#include "cli/key_protection.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "tokens/backup.h"

namespace hsmith::cli {
namespace {

struct Options {
  std::string file;
  std::string under;
};

// A key in the file, and the certificates that are really its own.
struct Restoring {
  const tokens::BackedUpKey* key;
  std::vector<ossl::Certificate> certificates;
};

// All that can be known before the token is asked.
std::vector<Restoring> check_file(const tokens::Backup& backup, const std::string& name) {
  const Bytes to_sign = tokens::backup_to_sign(backup);
  std::vector<Restoring> restoring;
  for (const tokens::BackedUpKey& key : backup.keys) {
    if (!tokens::verify_backup_signature(key, to_sign)) {
      throw Error(Kind::malformed,
                  fmt::format("restore {}: the signature of the key {} does not verify: the file "
                              "was changed",
                              name, quoted(key.spec.label)));
    }
    Restoring one{&key, {}};
    for (const Bytes& der : key.certificates) {
      ossl::Certificate certificate = x509::certificate_from_der(der, name);
      EVP_PKEY* certified = X509_get0_pubkey(certificate.get());
      if (certified == nullptr || !ossl::same_public_key(certified, key.public_key.get())) {
        throw Error(Kind::malformed, fmt::format("restore {}: a certificate of the key {} is "
                                                 "another key's",
                                                 name, quoted(key.spec.label)));
      }
      one.certificates.push_back(std::move(certificate));
    }
    restoring.push_back(std::move(one));
  }
  return restoring;
}

std::vector<Change> changes_of(const tokens::OpenToken& token,
                               const std::vector<Restoring>& restoring) {
  std::vector<Change> changes;
  for (const Restoring& one : restoring) {
    changes.push_back(
        {Change::Kind::create,
         fmt::format("key pair {} of type {} for {} on {}, extractable only under a trusted key",
                     quoted(one.key->spec.label), one.key->spec.type->name,
                     tokens::use_names(one.key->spec.uses), tokens::token_uri(token.info))});
    for (std::size_t i = 0; i < one.certificates.size(); ++i)
      changes.push_back({Change::Kind::create, "its certificate"});
  }
  return changes;
}

Outcome run(const Options& options, Context& context) {
  const std::string name = quoted(options.file);
  const tokens::Backup backup = read_backup_file(options.file);
  const std::vector<Restoring> restoring = check_file(backup, name);
  const tokens::Reach way = reach(context);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write, way);
  const auto lock = tokens::lock_token(way, token.info);
  const tokens::Key wrapping_key =
      tokens::find_wrapping_key(token, tokens::parse_selector(options.under));
  const tokens::KeyWrap wrap = tokens::wrap_for(token, wrapping_key, backup);
  const tokens::Inventory inventory = inventory_for_change(token, context);
  for (const Restoring& one : restoring) {
    const tokens::KeySpec& spec = one.key->spec;
    check_absent(token, inventory, one.key->public_key.get(),
                 "restore the key " + quoted(spec.label));
    tokens::check_free(token, spec.label, spec.id);
  }
  if (context.options.plan) return planned(changes_of(token, restoring));
  Outcome outcome;
  outcome.data["keys"] = Json::array();
  for (const Restoring& one : restoring) {
    const auto& key = one.key;
    const auto& certificates = one.certificates;
    Json facts{{"label", key->spec.label},
               {"type", key->spec.type->name},
               {"use", tokens::use_names(key->spec.uses)},
               {"id", hex(key->spec.id)},
               {"public_key", hex(ossl::spki_of(key->public_key.get()))}};
    if (!certificates.empty()) facts["certificates"] = certificate_facts_of(certificates);
    const tokens::Key made = undertake(context, token.info, facts, [&](Undertaking&) {
      const tokens::Generated restored = tokens::restore_key(token, wrapping_key, wrap, *key);
      install_certificates(token, restored.key, certificates, "restore");
      for (const std::string& note : restored.notes) context.warn(note);
      return restored.key;
    });
    outcome.data["keys"].push_back(made_key_json(token, made));
    outcome.text += made.uri + "\n";
  }
  return outcome;
}

}  // namespace

void add_key_restore(Arguments& command, Context& context) {
  auto options = std::make_shared<Options>();
  command.add_option("FILE", options->file, "File that key backup wrote").required();
  command.add_option("--under", options->under, "The wrapping key").required();
  command.footer(
      "Examples:\n  hsmith key restore keys.backup --under backups --token spare\n"
      "  hsmith key restore keys.backup --under backups --token spare --plan");
  command.callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace hsmith::cli
