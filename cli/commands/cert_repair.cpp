// hsmith cert repair: certificates and keys that belong together by public key are linked anew.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/key_output.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "tokens/certificates.h"
#include "tokens/links.h"

namespace hsmith::cli {
namespace {

tokens::ObjectType type_of(CK_OBJECT_CLASS object_class) {
  if (object_class == CKO_CERTIFICATE) return tokens::ObjectType::cert;
  return object_class == CKO_PUBLIC_KEY ? tokens::ObjectType::public_key
                                        : tokens::ObjectType::private_key;
}

std::string uri_to_be(const tokens::OpenToken& token, const tokens::Misfit& misfit) {
  return tokens::object_uri(token, misfit.label, misfit.id, type_of(misfit.object_class));
}

// Leaves only the key that the selector names, itself or by its certificate.
void keep_only(const tokens::Selector& selector, const tokens::Inventory& inventory,
               tokens::LinkSurvey& survey) {
  const auto is_named = [&](const std::string& label, const Bytes& id) {
    return (!selector.label || *selector.label == label) && (!selector.id || *selector.id == id);
  };
  std::vector<std::string> uris;
  for (const tokens::Links& links : survey.keys) uris.push_back(links.key.uri);
  const auto is_other = [&](const tokens::Links& links) {
    const tokens::KeyObjects objects = tokens::objects_of(inventory, links.key);
    return !is_named(links.key.label, links.key.id) &&
           std::none_of(objects.certificates.begin(), objects.certificates.end(),
                        [&](const auto& one) { return is_named(one.label, one.id); });
  };
  std::erase_if(survey.keys, is_other);
  if (survey.keys.size() == 1) return;
  if (survey.keys.empty()) {
    throw Error(
        Kind::not_found,
        fmt::format("repair {}: no key and no certificate of a key matches", quoted(selector.text)))
        .hint("see them with: hsmith key list, hsmith cert list")
        .candidates(std::move(uris));
  }
  uris.clear();
  for (const tokens::Links& links : survey.keys) uris.push_back(links.key.uri);
  throw Error(Kind::ambiguous,
              fmt::format("repair {}: {} keys match", quoted(selector.text), survey.keys.size()))
      .candidates(std::move(uris));
}

void add_strays(const std::vector<tokens::Stray>& strays, const char* name, const char* word,
                Outcome& outcome) {
  outcome.data[name] = Json::array();
  for (const tokens::Stray& stray : strays) {
    outcome.data[name].push_back({{"what", stray.what}, {"uris", stray.uris}});
    outcome.text += fmt::format("{}: {}: {}\n", word, stray.what, fmt::join(stray.uris, " "));
  }
}

std::vector<Change> changes_of(const tokens::OpenToken& token, const tokens::LinkSurvey& survey) {
  std::vector<Change> changes;
  for (const tokens::Links& links : survey.keys) {
    for (const tokens::Misfit& misfit : links.misfits) {
      changes.push_back(
          {Change::Kind::change, fmt::format("{} to {}", misfit.uri, uri_to_be(token, misfit))});
    }
  }
  return changes;
}

Outcome run(const std::string& name, Context& context) {
  const auto selector = name.empty() ? std::nullopt : std::optional(tokens::parse_selector(name));
  const tokens::Selector* named = selector ? &*selector : nullptr;
  const tokens::Reach way = reach(context, named);
  const tokens::OpenToken token = open_for_user(context, pkcs11::Access::read_write, way, named);
  const auto lock = tokens::lock_token(way, token.info);
  const tokens::Inventory inventory = inventory_for_change(token, context);
  tokens::LinkSurvey survey = tokens::survey_links(token, inventory);
  if (selector) keep_only(*selector, inventory, survey);
  if (context.options.plan) return planned(changes_of(token, survey));
  Outcome outcome;
  outcome.data["linked"] = Json::array();
  for (const tokens::Links& links : survey.keys) {
    if (links.misfits.empty()) continue;
    const Json facts{{"label", json_text(links.key.label)},
                     {"id", hex(links.key.id)},
                     {"public_key", hex(ossl::spki_of(links.public_half.get()))}};
    undertake(context, token.info, facts, [&](Undertaking&) {
      tokens::relink(token, links);
      return true;
    });
    for (const tokens::Misfit& misfit : links.misfits) {
      const std::string now = uri_to_be(token, misfit);
      outcome.data["linked"].push_back({{"was", misfit.uri}, {"uri", now}});
      outcome.text += fmt::format("linked {} (it was {})\n", now, misfit.uri);
    }
  }
  if (outcome.text.empty() && survey.orphans.empty() && survey.duplicates.empty())
    outcome.text = "every certificate and key is linked as it should be\n";
  add_strays(survey.orphans, "orphans", "orphan", outcome);
  add_strays(survey.duplicates, "duplicates", "duplicate", outcome);
  return outcome;
}

}  // namespace

void add_cert_repair(Arguments& command, Context& context) {
  auto name = std::make_shared<std::string>();
  command.add_option("NAME", *name,
                     "Only this key: label, id:HEX or PKCS#11 URI of it or its certificate");
  command.footer("Examples:\n  hsmith cert repair\n  hsmith cert repair web --plan");
  command.callback(
      [name, &context] { context.run = [name, &context] { return run(*name, context); }; });
}

}  // namespace hsmith::cli
