// hsmith cert retire: deletes what a renewal has replaced.
#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/key_output.h"
#include "cli/renewal.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "tokens/certificates.h"
#include "tokens/whole_key.h"

namespace hsmith::cli {
namespace {

// What stands under NAME@1: a pair with its certificates, or a certificate of the key in service.
struct Replaced {
  std::optional<tokens::KeyObjects> pair;
  std::vector<tokens::TokenCertificate> certificates;  // one, when there is no pair
};

// The private key with exactly this label; nullptr: none. Throws ambiguous.
const tokens::Key* labelled(const tokens::Inventory& inventory, const std::string& label,
                            const std::string& name) {
  const tokens::Key* found = nullptr;
  for (const tokens::Key& key : inventory.private_keys) {
    if (key.label != label) continue;
    if (found != nullptr) {
      throw Error(Kind::ambiguous, fmt::format("retire {}: several private keys are {}",
                                               quoted(name), quoted(label)))
          .candidates({found->uri, key.uri});
    }
    found = &key;
  }
  return found;
}

Replaced replaced_under(const tokens::OpenToken& token, const tokens::Inventory& inventory,
                        const std::string& name) {
  const std::string label = replaced_label(name);
  const tokens::Key* old = labelled(inventory, label, name);
  const tokens::Key* present = labelled(inventory, name, name);
  Replaced replaced;
  if (old != nullptr) replaced.pair = tokens::whole_key(token, inventory, *old);
  std::vector<std::string> uris;
  bool has_successor = false;
  if (old == nullptr && present != nullptr) {
    for (const auto& there : tokens::objects_of(inventory, *present).certificates) {
      has_successor = has_successor || there.label != label;
      if (there.label != label) continue;
      uris.push_back(there.uri);
      replaced.certificates.push_back(there);
    }
  }
  if (!uris.empty() && !has_successor) {
    throw Error(Kind::refused,
                fmt::format("retire {}: {} is the only certificate of the key in service",
                            quoted(name), uris.front()))
        .hint(
            "when its renewal was interrupted (hsmith doctor), finish it with: hsmith doctor "
            "--repair");
  }
  if (uris.size() > 1) {
    throw Error(Kind::ambiguous,
                fmt::format("retire {}: several certificates are {}", quoted(name), quoted(label)))
        .hint("delete them one by one: hsmith cert delete URI")
        .candidates(std::move(uris));
  }
  if (old == nullptr && uris.empty()) {
    throw Error(Kind::not_found, fmt::format("retire {}: there is nothing under the label {}",
                                             quoted(name), quoted(label)))
        .hint("give the name of a key whose renewal is complete: hsmith key list");
  }
  if (present == nullptr) {
    throw Error(Kind::refused,
                fmt::format("retire {}: no private key has this label, so nothing has replaced {}",
                            quoted(name), quoted(label)))
        .hint("when it shall go all the same: hsmith key delete " + shell_word(old->uri));
  }
  return replaced;
}

std::vector<Change> changes_of(const Replaced& replaced) {
  std::vector<Change> changes;
  const auto gone = [&](const std::string& what) {
    changes.push_back({Change::Kind::destroy, what});
  };
  for (const auto& certificate : replaced.certificates) gone(certificate.uri);
  if (!replaced.pair) return changes;
  for (const auto& certificate : replaced.pair->certificates) gone(certificate.uri);
  for (const auto& key : replaced.pair->public_keys) gone(key.uri);
  const tokens::Key& key = replaced.pair->private_key;
  gone(key.decrypt == true || key.derive == true
           ? key.uri + ": what was encrypted to it can no longer be read"
           : key.uri);
  return changes;
}

Outcome run(const std::string& name, Context& context) {
  const tokens::Selector selector = tokens::parse_selector(name);
  if (!selector.label) {
    throw Error(Kind::usage, fmt::format("retire {}: this is no label", quoted(name)))
        .hint("give the label of the pair in service");
  }
  const tokens::Reach way = reach_to_destroy(context, &selector);
  const tokens::OpenToken token =
      open_for_user(context, pkcs11::Access::read_write, way, &selector);
  const auto lock = tokens::lock_token(way, token.info);
  const Replaced replaced =
      replaced_under(token, inventory_for_change(token, context), *selector.label);
  const std::vector<Change> changes = changes_of(replaced);
  if (context.options.plan) return planned(changes);
  confirm(context, changes);
  const Json facts = replaced.pair ? deletion_facts(*replaced.pair)
                                   : Json{{"certificate", replaced.certificates.front().uri}};
  undertake(context, token.info, facts, [&](Undertaking&) {
    for (const auto& certificate : replaced.certificates) tokens::destroy(token, certificate);
    if (replaced.pair) tokens::destroy(token, *replaced.pair);
    return true;
  });
  return deleted(changes);
}

}  // namespace

void add_cert_retire(Arguments& command, Context& context) {
  auto name = std::make_shared<std::string>();
  command.add_option("NAME", *name, "Label of the pair in service; NAME@1 is deleted").required();
  command.footer(
      "Examples:\n  hsmith cert retire web --token prod --plan\n  hsmith cert retire web --token "
      "prod --yes");
  command.callback(
      [name, &context] { context.run = [name, &context] { return run(*name, context); }; });
}

}  // namespace hsmith::cli
