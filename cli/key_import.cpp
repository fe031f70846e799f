#include "cli/key_import.h"

#include <fmt/format.h>

#include "cli/changes.h"
#include "cli/new_key.h"
#include "src/base/error.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "tokens/certificates.h"
#include "tokens/matching.h"

namespace hsmith::cli {
namespace {

std::set<tokens::Use> uses_of(const ImportedKey& input, const std::string& use,
                              const ossl::KeyType& type) {
  if (!use.empty()) return tokens::parse_uses(use, type);
  std::set<tokens::Use> uses;
  for (const auto& certificate : input.certificates)
    uses.merge(uses_of_key_usage(x509::certificate_facts(certificate.get()).extensions.key_usage,
                                 type.algorithm));
  if (uses.empty()) uses.insert(tokens::Use::sign);
  return uses;
}

}  // namespace

void check_absent(const tokens::OpenToken& token, const tokens::Inventory& inventory, EVP_PKEY* key,
                  const std::string& doing) {
  const auto there = tokens::keys_with(token, inventory, key);
  if (there.empty()) return;
  throw Error(Kind::exists, fmt::format("{}: it is on the token as {}", doing, there.front()->uri));
}

void install_certificates(const tokens::OpenToken& token, const tokens::Key& key,
                          std::span<const ossl::Certificate> certificates, const char* verb) {
  try {
    for (const auto& certificate : certificates)
      tokens::install(token, tokens::take_inventory(token), key, certificate.get());
  } catch (const Error& error) {
    throw error.during(fmt::format("{} {}: the key is on the token", verb, key.uri))
        .hint("install its certificate too: hsmith doctor --repair")
        .unfinished();
  }
}

Json certificate_facts_of(std::span<const ossl::Certificate> certificates) {
  Json facts = Json::array();
  for (const auto& certificate : certificates)
    facts.push_back(hex(ossl::der_of(i2d_X509, certificate.get())));
  return facts;
}

tokens::KeySpec import_spec(const ImportedKey& input, const std::string& label,
                            const std::string& use, const std::string& name) {
  tokens::check_new_label(label);
  tokens::KeySpec spec;
  const std::string type = ossl::key_type_name(input.key.get());
  for (const ossl::KeyType& known : ossl::key_types()) {
    if (type == known.name) spec.type = &known;
  }
  if (spec.type == nullptr) {
    throw Error(Kind::refused,
                fmt::format("import {}: keys of type {} are weak or not known", name, type))
        .hint("rsa:2048 and up, ec:p256, p384, p521 and ed25519 can be imported");
  }
  spec.label = label;
  spec.uses = uses_of(input, use, *spec.type);
  spec.id = ossl::key_identifier(input.key.get());
  return spec;
}

tokens::Key import_with_certificates(Context& context, const tokens::OpenToken& token,
                                     const tokens::KeySpec& spec, const ImportedKey& input) {
  Json facts{
      {"label", spec.label}, {"type", spec.type->name}, {"use", tokens::use_names(spec.uses)}};
  if (!input.certificates.empty()) facts["certificates"] = certificate_facts_of(input.certificates);
  return undertake(context, token.info, facts, [&](Undertaking& undertaking) {
    const auto [made, notes] = tokens::import_key(
        token, spec, input.key.get(),
        [&](EVP_PKEY* half) { undertaking.know("public_key", hex(ossl::spki_of(half))); });
    install_certificates(token, made, input.certificates, "import");
    for (const std::string& note : notes) context.warn(note);
    return made;
  });
}

}  // namespace hsmith::cli
