#include "cli/authority.h"

#include <fmt/format.h>

#include "cli/key_output.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "tokens/certificates.h"
#include "tokens/token_key.h"

namespace hsmith::cli {
namespace {

constexpr std::chrono::seconds kLockWait{10};

// Only a label that hsmith gave is changed: a user may have chosen another.
void settle_label(const tokens::OpenToken& token, const ca::Authority& authority,
                  const std::string& from, const std::string& to) {
  const tokens::Inventory inventory = tokens::take_inventory(token);
  for (const tokens::Key& key : inventory.private_keys) {
    if (key.label != from || from == to) continue;
    const tokens::KeyObjects objects = tokens::objects_of(inventory, key);
    const ossl::PKey half = tokens::public_key_of(inventory, key);
    if (ossl::same_public_key(half.get(), X509_get0_pubkey(authority.certificate.get())))
      tokens::rename(token, objects, to);
  }
}

void settle_certificates(const tokens::OpenToken& token, const OpenAuthority& authority,
                         const ca::Authority& own) {
  tokens::Inventory inventory = tokens::take_inventory(token);
  const tokens::Key& key =
      tokens::key_of_certificate(token, inventory, own.certificate.get(), "the CA's certificate");
  tokens::install(token, inventory, key, own.certificate.get());
  for (const tokens::TokenCertificate& there : inventory.certificates) {
    for (const ca::Authority& older : authority.certificates) {
      const bool same_key = ossl::same_public_key(X509_get0_pubkey(older.certificate.get()),
                                                  X509_get0_pubkey(own.certificate.get()));
      if (same_key && older.id != own.id &&
          there.der == x509::certificate_der(older.certificate.get()))
        tokens::destroy(token, there);
    }
  }
}

}  // namespace

FileLock lock_authority(const Context& context, const std::string& name) {
  const auto folder = lock_folder(context.config.lock_folder, context.environment);
  return FileLock::acquire(folder / ("ca-" + file_name_for(name)), kLockWait);
}

OpenAuthority open_authority(Context& context, const std::string& name, DatabaseMode mode) {
  std::optional<FileLock> lock;
  if (mode == DatabaseMode::change) lock = lock_authority(context, name);
  Database store = ca::open_store(context.environment.state_folder, name, mode);
  ca::Settings settings = ca::read_settings(store);
  if (settings.name != name) {
    throw Error(Kind::mismatch, fmt::format("open the CA {}: its file is that of {}", quoted(name),
                                            quoted(settings.name)));
  }
  std::vector<ca::Authority> certificates = ca::read_authorities(store);
  return {std::move(lock), std::move(store), std::move(settings), std::move(certificates)};
}

AuthorityToken open_authority_token(Context& context, const OpenAuthority& authority,
                                    pkcs11::Access access) {
  tokens::Selector stored;
  stored.text = authority.settings.token_label;
  stored.uri.token = authority.settings.token_label;
  stored.uri.serial = authority.settings.token_serial;
  const bool named = context.options.token || context.options.slot;
  const tokens::Selector* selector = named ? nullptr : &stored;
  tokens::Reach way = reach(context, selector);
  tokens::OpenToken token = open_for_user(context, access, way, selector);
  tokens::Inventory inventory = inventory_for_change(token, context);
  return {std::move(way), std::move(token), std::move(inventory)};
}

ca::Signer signer_of(const AuthorityToken& token, const ca::Authority& authority) {
  const tokens::Key& key = tokens::key_of_certificate(
      token.token, token.inventory, authority.certificate.get(), "the CA's certificate");
  tokens::check_may_sign(key);
  return {authority.certificate.get(), tokens::remote_key(token.token, key)};
}

std::string label_of_generation(const std::string& name, int generation, int in_service) {
  return generation == in_service ? name : fmt::format("{}@{}", name, generation);
}

void settle_token(const tokens::OpenToken& token, const OpenAuthority& authority) {
  const ca::Authority& own = ca::authority_in_service(authority.certificates);
  const std::string& name = authority.settings.name;
  for (const ca::Authority& one : authority.certificates) {
    if (one.generation < own.generation)
      settle_label(token, one, name, label_of_generation(name, one.generation, own.generation));
  }
  settle_label(token, own, label_of_generation(name, own.generation, 0), name);
  settle_certificates(token, authority, own);
}

pkcs11::TokenInfo token_of(const ca::Settings& settings) {
  pkcs11::TokenInfo token;
  token.label = settings.token_label;
  token.serial = settings.token_serial;
  return token;
}

Json issued_json(const ca::Issued& issued) {
  Json json{{"serial", hex(issued.serial)},         {"subject", json_text(issued.subject)},
            {"profile", json_text(issued.profile)}, {"public_key_sha256", issued.key},
            {"issued", rfc3339(issued.issued)},     {"not_after", rfc3339(issued.not_after)},
            {"file", json_text(issued.file)}};
  if (!issued.approval.empty()) json["approval"] = issued.approval;
  if (!issued.reason.empty()) {
    json["revoked"] = rfc3339(issued.revoked);
    json["reason"] = issued.reason;
  }
  return json;
}

}  // namespace hsmith::cli
