#include "cli/certificate_repair.h"

#include <algorithm>
#include <fmt/format.h>

#include "cli/chain_store.h"
#include "cli/renewal.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "tokens/certificates.h"
#include "tokens/keys.h"
#include "tokens/links.h"
#include "tokens/matching.h"
#include "tokens/quirks.h"

namespace hsmith::cli {

using tokens::Inventory;
using tokens::Key;
using tokens::OpenToken;

namespace {

constexpr std::size_t kMostCertificates = 1000;

bool has_label(const OpenToken& token, const tokens::TokenCertificate& certificate,
               const std::vector<std::string>& labels) {
  return tokens::token_quirks(token.info).fixed_labels ||
         std::find(labels.begin(), labels.end(), certificate.label) != labels.end();
}

bool is_whole(const OpenToken& token, const tokens::TokenCertificate& certificate, const Bytes& id,
              const std::vector<std::string>& labels) {
  return certificate.id == id && has_label(token, certificate, labels);
}

// Throws token_failed where a certificate with the id cannot be read: it may be what was begun, or
// a good one.
void refuse_unread(const OpenToken& token, const Inventory& inventory, const Bytes& id) {
  if (inventory.broken.empty()) return;
  pkcs11::Template with_id;
  with_id.set_number(CKA_CLASS, CKO_CERTIFICATE).set(CKA_ID, id);
  const auto handles = token.session->find(with_id, kMostCertificates);
  for (const tokens::BrokenObject& broken : inventory.broken) {
    if (std::find(handles.begin(), handles.end(), broken.handle) == handles.end()) continue;
    throw Error(Kind::token_failed,
                fmt::format("object {} is a certificate with its id and cannot be read: {}",
                            broken.handle, broken.reason))
        .hint("run it again; when it stays so, remove that object with the module's own tool");
  }
}

// The certificate that the key got since the entry was written, or the entry's own where it was
// replaced since: installed beside it, the entry's would leave none to be found by the name.
// nullptr: none.
const tokens::TokenCertificate* later_one(const OpenToken& token, const Inventory& inventory,
                                          const Key& key, X509* certificate,
                                          const std::optional<Succession>& succession) {
  const Bytes der = x509::certificate_der(certificate);
  for (const tokens::TokenCertificate& there : inventory.certificates) {
    if (there.der == der) {
      if (there.label == replaced_label(key.label)) return &there;
      continue;
    }
    const ossl::PKey its_key = tokens::certified_key(there);
    if (!its_key || !ossl::same_public_key(its_key.get(), x509::public_key_of(certificate)))
      continue;
    if (tokens::is_placeholder(token, there)) continue;
    // Replaced before the entry was begun: the entry's own is what the key is to have now.
    if (there.label == replaced_label(succession ? succession->name : key.label)) continue;
    if (succession && there.der == succession->old_certificate) continue;
    const bool makes_room =
        tokens::token_quirks(token.info).has_places() &&
        renews(certificate, x509::certificate_from_der(there.der, there.uri).get());
    if (!makes_room) return &there;
  }
  return nullptr;
}

}  // namespace

void delete_half_made(const OpenToken& token, const Bytes& der, const Bytes& id,
                      const std::vector<std::string>& labels) {
  const Inventory inventory = tokens::take_inventory(token);
  refuse_unread(token, inventory, id);
  for (const tokens::TokenCertificate& there : inventory.certificates) {
    if (there.der != der || is_whole(token, there, id, labels)) continue;
    const bool half_made = (there.label.empty() || has_label(token, there, labels)) &&
                           (there.id.empty() || there.id == id);
    if (half_made) tokens::destroy(token, there);
  }
}

Repaired repair_installation(const OpenToken& token, const journal::Entry& entry) {
  const auto der = parse_hex(fact(entry, "certificate"));
  if (!der) return {false, "the journal does not say which certificate it was"};
  const ossl::Certificate certificate = x509::certificate_from_der(*der, "the journal");
  const auto succession = succession_in(entry.intent.facts);
  std::vector<std::string> labels{fact(entry, "label")};
  if (succession) labels.push_back(succession->name);
  const Bytes id = parse_hex(fact(entry, "id")).value_or(Bytes{});
  delete_half_made(token, *der, id, labels);
  const Inventory inventory = tokens::take_inventory(token);
  refuse_unread(token, inventory, id);
  const Key& key = tokens::key_of_certificate(token, inventory, certificate.get(),
                                              "the certificate in the journal");
  // Under either of its labels, as it may have the later one already, or under its key's by now.
  bool installed = false;
  std::string others;
  for (const tokens::TokenCertificate& one : inventory.certificates) {
    if (one.der != *der) continue;
    const bool whole = is_whole(token, one, id, labels) || tokens::is_beside(token, one, key);
    installed = installed || whole;
    if (!whole) others += fmt::format("; {}, the same certificate, stays", one.uri);
  }
  const auto* later =
      installed ? nullptr : later_one(token, inventory, key, certificate.get(), succession);
  if (later != nullptr) {
    return {true, fmt::format("its certificate is not installed, as {} is there by now; when it is "
                              "wanted all the same, run hsmith {} again",
                              later->uri, entry.intent.operation)};
  }
  try {
    if (!installed) tokens::install(token, inventory, key, certificate.get());
  } catch (const Error& error) {
    if (error.kind() != Kind::unsupported) throw;
    return {true, error.what()};  // nor will it ever be
  }
  if (succession) succeed(token, *succession);
  return {true, fmt::format("the certificate of {} is installed{}", key.uri, others)};
}

Repaired repair_chain(const OpenToken& token, const journal::Entry& entry, Context& context) {
  const auto der = parse_hex(fact(entry, "certificate"));
  if (!der) return {false, "the journal does not say which certificate it was"};
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
  const Inventory inventory = tokens::take_inventory(token);
  for (const tokens::Links& links : tokens::survey_links(token, inventory).keys) {
    if (hex(ossl::spki_of(links.public_half.get())) != fact(entry, "public_key")) continue;
    tokens::relink(token, links);
    return {true, fmt::format("what goes with {} is linked", links.key.uri)};
  }
  for (const Key& key : inventory.private_keys) {
    if (hex(key.id) == fact(entry, "id"))
      return {false, fmt::format("whether {} is the key cannot be tried: run it again", key.uri)};
  }
  return {true, "the key is no longer there"};
}

}  // namespace hsmith::cli
