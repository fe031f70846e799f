#include "cli/crl_output.h"

#include "src/base/text.h"

namespace hsmith::cli {

std::string crl_state(const x509::CrlFacts& facts, std::time_t now) {
  if (facts.this_update > now) return "not yet valid";
  return facts.next_update && *facts.next_update < now ? "stale" : "current";
}

std::string crl_kind(const x509::CrlFacts& facts) {
  std::string kind = facts.base_number.empty() ? "complete" : "delta";
  if (facts.scope != "all") kind += ", " + facts.scope;
  if (facts.some_reasons) kind += ", some reasons";
  if (facts.indirect) kind += ", indirect";
  return kind;
}

Json crl_json(X509_CRL* crl, const x509::CrlFacts& facts, std::time_t now) {
  Json json{{"issuer", json_text(facts.issuer)},
            {"delta", !facts.base_number.empty()},
            {"scope", facts.scope},
            {"indirect", facts.indirect},
            {"this_update", rfc3339(facts.this_update)},
            {"entries", facts.entries},
            {"state", crl_state(facts, now)},
            {"signature_algorithm", facts.signature_algorithm},
            {"sha256", x509::crl_sha256(crl)}};
  if (!facts.number.empty()) json["number"] = facts.number;
  if (!facts.base_number.empty()) json["base_number"] = facts.base_number;
  if (facts.next_update) json["next_update"] = rfc3339(*facts.next_update);
  return json;
}

}  // namespace hsmith::cli
