#include "src/recovery/agents.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <openssl/rand.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/ossl/rsa_encryption.h"
#include "src/recovery/envelope.h"
#include "src/x509/certificate.h"
#include "src/x509/path.h"

namespace hsmith::recovery {
namespace {

constexpr int kFewestBits = 2048;

// What no date and no list changes.
std::string unsuitable_because(X509* certificate) {
  const auto facts = x509::certificate_facts(certificate);
  const auto& purposes = facts.extensions.extended_key_usage;
  const auto is_agent = [](const std::string& name) {
    return name == "kra" || name == x509::kKraOid;
  };
  if (std::none_of(purposes.begin(), purposes.end(), is_agent))
    return "it has not the purpose of a recovery agent (1.3.6.1.4.1.311.21.6)";
  const auto& usage = facts.extensions.key_usage;
  if (!usage.empty() && std::find(usage.begin(), usage.end(), "keyEncipherment") == usage.end())
    return "its key usage has no keyEncipherment";
  if (facts.is_ca) return "it is the certificate of an authority";
  if (EVP_PKEY_is_a(x509::public_key_of(certificate), "RSA") != 1) return "its key is not RSA";
  if (facts.key_bits < kFewestBits) return fmt::format("its key has {} bits only", facts.key_bits);
  return "";
}

std::string state_of(const std::string& reason) {
  const std::string text = lower(reason);
  if (text.find("revoked") != std::string::npos) return "revoked";
  return "unverifiable";
}

}  // namespace

AgentState agent_state(X509* certificate, const Trust& trust, std::time_t now) {
  const std::string unsuitable = unsuitable_because(certificate);
  if (!unsuitable.empty()) return {"unsuitable", unsuitable};
  const auto facts = x509::certificate_facts(certificate);
  if (facts.not_after < now) return {"expired", "it expired on " + rfc3339(facts.not_after)};
  if (facts.not_before > now)
    return {"not_yet_valid", "it is not valid before " + rfc3339(facts.not_before)};
  x509::PathOptions options;
  options.time = now;
  options.purpose = x509::Purpose::kra;
  options.revocation = x509::Revocation::required;
  const x509::Verdict verdict =
      x509::verify_path(certificate, trust.untrusted, trust.anchors, options, trust.crls);
  if (verdict.ok) return {"valid", ""};
  if (verdict.problems.empty()) return {"unverifiable", "no path to an anchor was found"};
  const x509::PathProblem& problem = verdict.problems.front();
  return {state_of(problem.reason), problem.subject + ": " + problem.reason};
}

std::vector<std::string> probe_agent(X509* certificate, ossl::RemoteKey& key) {
  EVP_PKEY* public_key = x509::public_key_of(certificate);
  std::vector<std::string> abilities;
  for (const char* ability : {kOaepSha256, kOaepSha1, kPkcs1}) {
    std::array<unsigned char, 32> nonce;
    ossl::check(RAND_bytes(nonce.data(), nonce.size()) == 1, "make a nonce");
    const ossl::RsaEncryption how = encryption_of(ability);
    const Bytes ciphertext = ossl::rsa_encrypt(public_key, how, nonce);
    try {
      const auto opened = key.decrypt_key(how, ciphertext, nonce.size());
      if (opened.good && equal(opened.key.reveal(), nonce)) abilities.emplace_back(ability);
    } catch (const Error& error) {
      if (error.kind() != Kind::unsupported && error.kind() != Kind::token_failed) throw;
    }
  }
  if (!abilities.empty()) return abilities;
  throw Error(Kind::mismatch,
              "try out the agent's key: it decrypts nothing that is encrypted to the certificate")
      .hint("is it the key of this certificate? hsmith cert match");
}

}  // namespace hsmith::recovery
