#include "cli/renewal.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "tokens/certificates.h"
#include "tokens/quirks.h"

namespace hsmith::cli {
namespace {

constexpr std::string_view kWaiting = "@2";
constexpr std::string_view kReplaced = "@1";
constexpr std::size_t kMostNamesakes = 20;

bool has_public_key(const tokens::Inventory& inventory, const tokens::Key& key, const Bytes& spki) {
  try {
    return ossl::spki_of(tokens::public_key_of(inventory, key).get()) == spki;
  } catch (const Error&) {  // a key whose public half nobody knows is not the one
    return false;
  }
}

const tokens::Key* key_with(const tokens::Inventory& inventory, const Bytes& spki) {
  for (const tokens::Key& key : inventory.private_keys) {
    if (has_public_key(inventory, key, spki)) return &key;
  }
  return nullptr;
}

// A pair and all that goes with it. A pair that is gone has nothing to be renamed, and one with
// neither label has been renamed since.
void relabel_pair(const tokens::OpenToken& token, const tokens::Inventory& inventory,
                  const tokens::Key* key, const std::string& from, const std::string& to) {
  if (key == nullptr || (key->label != from && key->label != to)) return;
  tokens::rename(token, tokens::objects_of(inventory, *key), to);
}

// Throws exists when a pair that is neither of the two has this label.
void refuse_third(const tokens::OpenToken& token, const tokens::Key* old, const tokens::Key* next,
                  const std::string& label) {
  pkcs11::Template labelled;
  labelled.set_number(CKA_CLASS, CKO_PRIVATE_KEY).set_text(CKA_LABEL, label);
  for (const CK_OBJECT_HANDLE handle : token.session->find(labelled, kMostNamesakes)) {
    if ((old != nullptr && old->handle == handle) || (next != nullptr && next->handle == handle))
      continue;
    throw Error(Kind::exists, fmt::format("another private key is {} by now; give it another name",
                                          quoted(label)));
  }
}

// The pair in service under the name, with another key than the new one.
const tokens::Key* pair_in_service(const tokens::Inventory& inventory, const std::string& name,
                                   const tokens::Key& waiting) {
  const tokens::Key* found = nullptr;
  for (const tokens::Key& key : inventory.private_keys) {
    if (key.label != name || key.handle == waiting.handle) continue;
    if (found != nullptr) {
      throw Error(Kind::ambiguous,
                  fmt::format("renew {}: several private keys have this label", quoted(name)))
          .hint("give all but the one in service another name: hsmith key rename URI NEW")
          .candidates({found->uri, key.uri});
    }
    found = &key;
  }
  return found;
}

// True while NAME@1 is, at least in part, the pair that was in service when its succession began:
// the new one is not NAME yet.
bool is_half_succeeded(const tokens::Inventory& inventory, const tokens::Key* in_service,
                       const std::string& label) {
  if (in_service == nullptr) return true;
  const tokens::KeyObjects objects = tokens::objects_of(inventory, *in_service);
  const auto is_renamed = [&](const auto& object) { return object.label == label; };
  return std::any_of(objects.public_keys.begin(), objects.public_keys.end(), is_renamed) ||
         std::any_of(objects.certificates.begin(), objects.certificates.end(), is_renamed);
}

}  // namespace

bool renews(X509* next, X509* present) {
  return x509::same_name(X509_get_subject_name(next), X509_get_subject_name(present)) &&
         x509::certificate_facts(next).not_after > x509::certificate_facts(present).not_after;
}

std::string waiting_label(const std::string& name) { return name + std::string(kWaiting); }
std::string replaced_label(const std::string& name) { return name + std::string(kReplaced); }

std::optional<std::string> awaited_name(const std::string& label) {
  if (!label.ends_with(kWaiting) || label.size() == kWaiting.size()) return std::nullopt;
  return label.substr(0, label.size() - kWaiting.size());
}

std::optional<Succession> succession_of(const tokens::OpenToken& token,
                                        const tokens::Inventory& inventory, const tokens::Key& key,
                                        X509* certificate) {
  Succession succession;
  succession.name = awaited_name(key.label).value_or(key.label);
  const bool waited = succession.name != key.label;
  succession.new_key = ossl::spki_of(x509::public_key_of(certificate));
  const Bytes der = x509::certificate_der(certificate);
  const std::string doing = "install the certificate of " + key.uri;
  for (const auto& there : tokens::objects_of(inventory, key).certificates) {
    if (there.der == der || there.label == replaced_label(succession.name)) continue;
    if (tokens::is_placeholder(token, there)) continue;
    const ossl::Certificate present = x509::certificate_from_der(there.der, there.uri);
    if (waited || !succession.old_certificate.empty() || !renews(certificate, present.get())) {
      throw Error(Kind::exists, doing + ": it has another one, which this one does not renew")
          .hint("look at it with hsmith cert show, delete it with: hsmith cert delete " +
                shell_word(there.uri))
          .candidates({there.uri});
    }
    // In a place of its own the old one makes room for the new one.
    if (!tokens::token_quirks(token.info).has_places()) succession.old_certificate = there.der;
  }
  if (!waited && succession.old_certificate.empty()) return std::nullopt;
  const tokens::Key* old = waited ? pair_in_service(inventory, succession.name, key) : nullptr;
  if (old != nullptr)
    succession.old_key = ossl::spki_of(tokens::public_key_of(inventory, *old).get());
  try {
    tokens::check_free(token, replaced_label(succession.name), {});
  } catch (const Error& error) {
    if (waited && is_half_succeeded(inventory, old, replaced_label(succession.name)))
      throw error.during(doing).hint(
          "when its renewal was interrupted (hsmith doctor), finish it with: hsmith doctor "
          "--repair");
    throw error.during(doing).hint(
        fmt::format("delete what was replaced before: hsmith cert retire {} --token {}",
                    shell_word(succession.name), shell_word(token.info.label)));
  }
  return succession;
}

Json succession_facts(const Succession& succession) {
  return {{"name", json_text(succession.name)},
          {"new_key", hex(succession.new_key)},
          {"old_key", hex(succession.old_key)},
          {"old_certificate", hex(succession.old_certificate)}};
}

std::optional<Succession> succession_in(const Json& facts) {
  const auto found = facts.find("succession");
  if (found == facts.end() || !found->is_object()) return std::nullopt;
  const auto text = [&](const char* name) {
    const auto value = found->find(name);
    return value != found->end() && value->is_string() ? value->get<std::string>() : std::string();
  };
  const auto bytes = [&](const char* name) { return parse_hex(text(name)).value_or(Bytes{}); };
  return Succession{text("name"), bytes("new_key"), bytes("old_key"), bytes("old_certificate")};
}

std::vector<Change> changes_of(const Succession& succession) {
  std::vector<Change> changes;
  const std::string replaced = quoted(replaced_label(succession.name));
  if (!succession.old_certificate.empty()) {
    changes.push_back(
        {Change::Kind::change, fmt::format("label of the certificate in service to {}", replaced)});
  }
  if (!succession.old_key.empty())
    changes.push_back(
        {Change::Kind::change, fmt::format("label of the pair in service to {}", replaced)});
  if (succession.old_certificate.empty())
    changes.push_back({Change::Kind::change, fmt::format("label of the new pair from {} to {}",
                                                         quoted(waiting_label(succession.name)),
                                                         quoted(succession.name))});
  return changes;
}

void succeed(const tokens::OpenToken& token, const Succession& succession) {
  const std::string replaced = replaced_label(succession.name);
  try {
    const tokens::Inventory inventory = tokens::take_inventory(token);
    if (!succession.old_certificate.empty()) {
      for (const tokens::TokenCertificate& there : inventory.certificates) {
        if (there.der == succession.old_certificate && there.label != replaced)
          tokens::set_label(token, there.handle, replaced);
      }
      return;
    }
    const std::string waiting = waiting_label(succession.name);
    const tokens::Key* old =
        succession.old_key.empty() ? nullptr : key_with(inventory, succession.old_key);
    const tokens::Key* next = key_with(inventory, succession.new_key);
    if (next == nullptr) throw Error(Kind::not_found, "the new pair is not to be found");
    // It was renamed since: it has a successor itself, say.
    if (next->label != waiting && next->label != succession.name) return;
    refuse_third(token, old, next, succession.name);
    if (old != nullptr) refuse_third(token, old, nullptr, replaced);
    relabel_pair(token, inventory, old, succession.name, replaced);
    relabel_pair(token, inventory, next, waiting, succession.name);
  } catch (const Error& error) {
    throw error
        .during(fmt::format("{}: the new certificate is installed, but what it replaces has not "
                            "yet its new label",
                            quoted(succession.name)))
        .hint("see it with hsmith doctor, finish it with: hsmith doctor --repair")
        .unfinished();
  }
}

}  // namespace hsmith::cli
