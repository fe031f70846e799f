#include "tokens/key_audit.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "src/base/error.h"
#include "src/x509/certificate.h"
#include "src/x509/weak_keys.h"
#include "tokens/certificates.h"
#include "tokens/links.h"

namespace hsmith::tokens {
namespace {

using x509::Severity;

constexpr AuditRule kRules[] = {
    {"exportable", Severity::error,
     "the key can leave the token, by an attempt or by its own word"},
    {"for_backup", Severity::warning, "the key leaves wrapped under a trusted key, and only so"},
    {"not_claimed", Severity::warning, "no attempt could be made, and the token claims nothing"},
    {"not_born_here", Severity::error, "the token says that the key was made elsewhere"},
    {"several_purposes", Severity::warning, "the key signs, decrypts or agrees: more than one"},
    {"wrap_and_decrypt", Severity::error, "what it wraps it decrypts: other keys leave through it"},
    {"use_can_be_widened", Severity::warning, "the token lets its user give the key more uses"},
    {"weak", Severity::error, "the key can be computed, or is too short"},
    {"unlinked", Severity::warning, "no certificate, or one with another label or id"},
    {"duplicate", Severity::error, "another key has its label, its id, or is the same key"},
    {"expired_certificate", Severity::error, "its certificate has expired"},
    {"missing_public_key", Severity::warning, "no object shows its public half"},
};

// Everything that the findings about one key are taken from.
struct Look {
  const OpenToken& token;
  const Inventory& inventory;
  const LinkSurvey& links;
  std::time_t time;
  SessionObjects& objects;
  const Say& say;
};

void find_ways_out(const Look& look, EVP_PKEY* half, const KeyClaims& claims, AuditedKey& audited) {
  Proof proof;
  proof.attributes = claims;
  proof.attacks = attack_key({look.token, audited.key, half, look.objects, look.say});
  const std::string way = way_out(proof);
  const std::vector<Fact> facts = facts_of(proof);
  const auto state = [&](std::string_view name) {
    return std::ranges::find(facts, name, &Fact::name)->state;
  };
  const FactState read = state("value_cannot_be_read");
  const FactState wrapped = state("cannot_be_wrapped_out");
  const bool claimed = claim_named(claims, "extractable") == false;
  if (!way.empty()) {
    audited.stays_inside = FactState::refuted;
    audited.findings.push_back({leaves_for_backups_only(proof) ? "for_backup" : "exportable", way});
  } else if (read == FactState::tested && wrapped == FactState::tested) {
    audited.stays_inside = FactState::tested;
  } else if (claimed) {
    audited.stays_inside = FactState::claimed;
  } else {
    audited.findings.push_back({"not_claimed",
                                "the token does not say that the key stays in it, "
                                "and not everything could be tried"});
  }
  std::vector<std::string> wider;
  for (const Attack& attack : proof.attacks) {
    if (attack.kind == "widen" && attack.result == AttackResult::worked)
      wider.push_back(attack.with);
  }
  if (!wider.empty()) {
    audited.findings.push_back(
        {"use_can_be_widened", fmt::format("a user may set {}", fmt::join(wider, ", "))});
  }
}

// Keys on curves do not, whatever is said of them.
bool wraps_with_public_half(const Look& look, const KeyObjects& objects) {
  const auto type = objects.private_key.type;
  if (type == CKK_EC || type == CKK_EC_EDWARDS) return false;
  return std::ranges::any_of(objects.public_keys, [&](const Key& key) {
    return claim_named(claims_of(look.token, key.handle), "wrap") == true;
  });
}

void find_uses(const Look& look, const KeyClaims& claims, const KeyObjects& objects,
               AuditedKey& audited) {
  const auto may = [&](const char* use) { return claim_named(claims, use) == true; };
  const bool is_secret = audited.key.object_class == CKO_SECRET_KEY;
  const Key& key = audited.key;  // of which is known what the token says wrongly
  std::vector<std::string> purposes;
  for (const auto& [use, claimed] :
       {std::pair{"sign", key.sign}, {"decrypt", key.decrypt}, {"derive", key.derive}}) {
    if (claimed == true) purposes.emplace_back(use);
  }
  if (purposes.size() > 1 && !is_secret) {
    audited.findings.push_back({"several_purposes", fmt::format("{}", fmt::join(purposes, ", "))});
  }
  const bool wraps = is_secret ? may("wrap") : wraps_with_public_half(look, objects);
  if (wraps && may("decrypt")) {
    audited.findings.push_back(
        {"wrap_and_decrypt", is_secret ? "it wraps keys and decrypts what it has wrapped"
                                       : "its public half wraps keys and it decrypts them"});
  }
  if (claim_named(claims, "local") == false)
    audited.findings.push_back({"not_born_here", "the token says that it was not made in it"});
}

void find_weakness(const Key& key, EVP_PKEY* half, AuditedKey& audited) {
  if (half != nullptr) {
    for (const x509::Finding& finding : x509::key_weaknesses(half)) {
      if (finding.severity != Severity::notice) audited.findings.push_back({"weak", finding.text});
    }
  }
  if (key.object_class != CKO_SECRET_KEY || !key.type) return;
  static constexpr CK_KEY_TYPE kOld[] = {CKK_DES, CKK_DES2, CKK_DES3, CKK_RC2, CKK_RC4, CKK_RC5};
  if (std::ranges::find(kOld, *key.type) != std::end(kOld))
    audited.findings.push_back({"weak", "a cipher that is not to be used any more"});
}

void find_certificates(const Look& look, const KeyObjects& objects, AuditedKey& audited) {
  if (objects.certificates.empty())
    audited.findings.push_back({"unlinked", "no certificate on the token is of this key"});
  for (const TokenCertificate& one : objects.certificates) {
    if (is_placeholder(look.token, one)) continue;
    const ossl::Certificate certificate = x509::certificate_from_der(one.der, one.uri);
    std::time_t now = look.time;
    if (X509_cmp_time(X509_get0_notAfter(certificate.get()), &now) < 0)
      audited.findings.push_back({"expired_certificate", one.uri});
  }
  for (const Links& links : look.links.keys) {
    if (links.key.handle != audited.key.handle) continue;
    for (const Misfit& misfit : links.misfits) {
      audited.findings.push_back(
          {"unlinked", fmt::format("{} has another label or id: hsmith cert repair", misfit.uri)});
    }
  }
}

void find_duplicates(const Look& look, AuditedKey& audited) {
  const Key& key = audited.key;
  const auto& all =
      key.object_class == CKO_SECRET_KEY ? look.inventory.secret_keys : look.inventory.private_keys;
  for (const Key& other : all) {
    if (other.handle == key.handle) continue;
    if (!key.id.empty() && other.id == key.id) {
      audited.findings.push_back({"duplicate", fmt::format("{} has the same id", other.uri)});
    } else if (!key.label.empty() && other.label == key.label) {
      audited.findings.push_back({"duplicate", fmt::format("{} has the same label", other.uri)});
    }
  }
  for (const Stray& stray : look.links.duplicates) {
    if (std::ranges::find(stray.uris, key.uri) != stray.uris.end())
      audited.findings.push_back({"duplicate", stray.what});
  }
}

ossl::PKey half_of(const Look& look, const Key& key) {
  if (key.object_class == CKO_SECRET_KEY) return nullptr;
  for (const Links& links : look.links.keys) {
    if (links.key.handle == key.handle) return ossl::share(links.public_half.get());
  }
  try {
    return public_key_of(look.inventory, key);
  } catch (const Error&) {  // it has none, or several
    return nullptr;
  }
}

AuditedKey audit_key(const Look& look, const Key& key) {
  AuditedKey audited;
  audited.key = key;
  const ossl::PKey half = half_of(look, key);
  const KeyClaims claims = claims_of(look.token, key.handle);
  find_ways_out(look, half.get(), claims, audited);
  const bool is_private = key.object_class == CKO_PRIVATE_KEY;
  const KeyObjects objects = is_private ? objects_of(look.inventory, key) : KeyObjects{key, {}, {}};
  find_uses(look, claims, objects, audited);
  find_weakness(key, half.get(), audited);
  if (is_private) find_certificates(look, objects, audited);
  find_duplicates(look, audited);
  if (is_private && objects.public_keys.empty() && !key.public_key)
    audited.findings.push_back({"missing_public_key", "the token has no public key object of it"});
  return audited;
}

}  // namespace

std::span<const AuditRule> audit_rules() { return kRules; }

std::vector<AuditedKey> audit_keys(const OpenToken& token, std::time_t time, const Say& say) {
  const Inventory inventory = take_inventory(token);
  if (!inventory.broken.empty()) {
    throw Error(Kind::token_failed,
                fmt::format("audit: {} objects cannot be read, the first because {}",
                            inventory.broken.size(), inventory.broken.front().reason));
  }
  const LinkSurvey links = survey_links(token, inventory);
  std::vector<AuditedKey> all;
  for (const auto* keys : {&inventory.private_keys, &inventory.secret_keys}) {
    for (const Key& key : *keys) {
      SessionObjects objects(token);
      const Say say_of_key = [&](std::string_view what) {
        say(fmt::format("{} on {}", what, key.uri));
      };
      all.push_back(audit_key({token, inventory, links, time, objects, say_of_key}, key));
      objects.finish();
    }
  }
  return all;
}

}  // namespace hsmith::tokens
