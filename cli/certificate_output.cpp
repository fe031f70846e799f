#include "cli/certificate_output.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "src/base/text.h"

namespace hsmith::cli {

Json certificate_json(const x509::CertificateFacts& facts) {
  Json json{{"subject", json_text(facts.subject)},
            {"issuer", json_text(facts.issuer)},
            {"serial", facts.serial},
            {"not_before", rfc3339(facts.not_before)},
            {"not_after", rfc3339(facts.not_after)},
            {"names", x509::texts_of(facts.extensions.names)},
            {"key_usage", facts.extensions.key_usage},
            {"extended_key_usage", facts.extensions.extended_key_usage},
            {"is_ca", facts.is_ca},
            {"self_issued", facts.self_issued},
            {"key_type", facts.key_type},
            {"key_bits", facts.key_bits},
            {"public_key_sha256", facts.key_sha256},
            {"signature_algorithm", facts.signature_algorithm},
            {"sha256", facts.sha256}};
  if (!facts.extensions.subject_key_id.empty())
    json["subject_key_id"] = facts.extensions.subject_key_id;
  if (!facts.extensions.authority_key_id.empty())
    json["authority_key_id"] = facts.extensions.authority_key_id;
  return json;
}

std::string certificate_text(const x509::CertificateFacts& facts) {
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += fmt::format("{:<20} {}\n", name, value);
  };
  line("subject", facts.subject);
  line("issuer", facts.issuer + (facts.self_issued ? " (itself)" : ""));
  line("serial", facts.serial);
  line("valid from", rfc3339(facts.not_before));
  line("valid until", rfc3339(facts.not_after));
  for (const std::string& name : x509::texts_of(facts.extensions.names)) line("name", name);
  line("key usage", fmt::format("{}", fmt::join(facts.extensions.key_usage, ", ")));
  line("extended key usage",
       fmt::format("{}", fmt::join(facts.extensions.extended_key_usage, ", ")));
  line("authority", facts.is_ca ? "yes" : "no");
  line("key", facts.key_type);
  line("public key (sha256)", facts.key_sha256);
  line("signature algorithm", facts.signature_algorithm);
  line("fingerprint (sha256)", facts.sha256);
  return text;
}

}  // namespace hsmith::cli
