#include "src/recovery/agents.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <optional>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/ossl/rsa_encryption.h"
#include "src/x509/certificate.h"
#include "src/x509/crl.h"
#include "src/x509/path.h"

namespace hsmith::recovery {
namespace {

constexpr int kFewestBits = 2048;

// With the codes that Windows has for them.
AgentState refused_path(const x509::Verdict& verdict) {
  if (verdict.problems.empty())
    return {"unverifiable", "no path to an anchor was found (CERT_E_CHAINING 0x800B010A)"};
  const x509::PathProblem& problem = verdict.problems.front();
  const std::string text = problem.subject + ": " + problem.reason;
  if (problem.reason.starts_with("it was revoked"))
    return {"revoked", text + " (CRYPT_E_REVOKED 0x80092010)"};
  const bool open = problem.reason.find("revocation list") != std::string::npos;
  return {"unverifiable", text + (open ? " (CRYPT_E_REVOCATION_OFFLINE 0x80092013)"
                                       : " (CERT_E_CHAINING 0x800B010A)")};
}

// The key that signed a list, as the list names it; empty where it does not.
Bytes key_named_by(const X509_CRL* crl) {
  const int at = X509_CRL_get_ext_by_NID(crl, NID_authority_key_identifier, -1);
  if (at < 0) return {};
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(X509_CRL_get_ext(crl, at));
  const unsigned char* start = ASN1_STRING_get0_data(value);
  return {start, start + ASN1_STRING_length(value)};
}

}  // namespace

bool is_signed_by_any(X509_CRL* crl, const Trust& trust) {
  const auto signs = [&](const ossl::Certificate& one) { return x509::signed_crl(crl, one.get()); };
  return std::any_of(trust.anchors.begin(), trust.anchors.end(), signs) ||
         std::any_of(trust.untrusted.begin(), trust.untrusted.end(), signs);
}

bool has_newer_list(X509_CRL* crl, const Trust& trust) {
  const std::time_t date = x509::crl_facts(crl).this_update;
  return std::any_of(trust.crls.begin(), trust.crls.end(), [&](const auto& other) {
    return X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_CRL_get_issuer(other.get())) == 0 &&
           key_named_by(crl) == key_named_by(other.get()) &&
           x509::crl_facts(other.get()).this_update > date && is_signed_by_any(other.get(), trust);
  });
}

namespace {

// When and why any list of its issuer revokes a certificate; "" when none does. An issuer that
// renewed its key has a list for each, a path is checked with one of them, and that may be an old
// one. A hold counts in a list that is not out of date, until a newer one takes it off
// (RFC 5280, 5.3.1).
std::string revoked_by_any(X509* certificate, const Trust& trust, std::time_t now) {
  std::string on_hold;
  for (const auto& crl : trust.crls) {
    const auto revoked = x509::revocation_in(crl.get(), certificate);
    if (!revoked || !is_signed_by_any(crl.get(), trust)) continue;
    if (revoked->find("certificateHold") == std::string::npos) return *revoked;
    const auto next_update = x509::crl_facts(crl.get()).next_update;
    if (next_update && *next_update > now && !has_newer_list(crl.get(), trust)) on_hold = *revoked;
  }
  return on_hold;
}

}  // namespace

std::string unsuitable_because(X509* certificate, const std::string& purpose) {
  const auto facts = x509::certificate_facts(certificate);
  const auto& purposes = facts.extensions.extended_key_usage;
  if (std::find(purposes.begin(), purposes.end(), purpose) == purposes.end()) {
    return fmt::format("it has not the purpose of {} ({})",
                       purpose == "kra" ? "a recovery agent" : "an exchange certificate",
                       x509::purpose_oid(purpose));
  }
  const auto& usage = facts.extensions.key_usage;
  if (!usage.empty() && std::find(usage.begin(), usage.end(), "keyEncipherment") == usage.end())
    return "its key usage has no keyEncipherment";
  if (facts.is_ca) return "it is the certificate of an authority";
  if (EVP_PKEY_is_a(x509::public_key_of(certificate), "RSA") != 1) return "its key is not RSA";
  if (facts.key_bits < kFewestBits) return fmt::format("its key has {} bits only", facts.key_bits);
  return "";
}

AgentState agent_state(X509* certificate, const Trust& trust, std::time_t now) {
  const std::string unsuitable = unsuitable_because(certificate, "kra");
  if (!unsuitable.empty()) return {"unsuitable", unsuitable + " (CERT_E_WRONG_USAGE 0x800B0110)"};
  const auto facts = x509::certificate_facts(certificate);
  if (facts.not_after < now)
    return {"expired",
            "it expired on " + rfc3339(facts.not_after) + " (CERT_E_EXPIRED 0x800B0101)"};
  if (facts.not_before > now)
    return {"not_yet_valid", "it is not valid before " + rfc3339(facts.not_before)};
  x509::PathOptions options;
  options.time = now;
  options.purpose = x509::Purpose::kra;
  options.revocation = x509::Revocation::required;
  const x509::Verdict verdict =
      x509::verify_path(certificate, trust.untrusted, trust.anchors, options, trust.crls);
  if (!verdict.ok) return refused_path(verdict);
  const std::string revoked = revoked_by_any(certificate, trust, now);
  if (revoked.empty()) return {"valid", ""};
  return {"revoked", fmt::format("{}: it was revoked on {} (CRYPT_E_REVOKED 0x80092010)",
                                 facts.subject, revoked)};
}

ossl::RsaEncryption encryption_of(const std::string& ability) {
  ossl::RsaEncryption how;
  if (ability == kPkcs1) {
    how.padding = ossl::RsaPadding::pkcs1;
    return how;
  }
  how.padding = ossl::RsaPadding::oaep;
  how.digest = &ossl::digest_named(ability == kOaepSha256 ? "sha256" : "sha1");
  how.mgf1 = how.digest;
  return how;
}

std::vector<std::string> probe_agent(X509* certificate, ossl::RemoteKey& key) {
  EVP_PKEY* public_key = x509::public_key_of(certificate);
  std::vector<std::string> abilities;
  std::optional<Error> failed;
  for (const char* ability : {kOaepSha256, kOaepSha1, kPkcs1}) {
    std::array<unsigned char, 32> nonce;
    ossl::check(RAND_bytes(nonce.data(), nonce.size()) == 1, "make a nonce");
    const ossl::RsaEncryption how = encryption_of(ability);
    const Bytes ciphertext = ossl::rsa_encrypt(public_key, how, nonce);
    try {
      const auto opened = key.decrypt_key(how, ciphertext, nonce.size());
      if (opened.good && equal(opened.key.reveal(), nonce)) abilities.emplace_back(ability);
    } catch (const Error& error) {
      // Tokens have many words for what they cannot do.
      if (error.kind() != Kind::unsupported && error.kind() != Kind::token_failed) throw;
      if (!failed && error.kind() == Kind::token_failed) failed = error;
    }
  }
  if (!abilities.empty()) return abilities;
  if (failed) throw failed->during("try out the agent's key");
  throw Error(Kind::mismatch,
              "try out the agent's key: it decrypts nothing that is encrypted to the certificate")
      .hint("is it the key of this certificate? hsmith cert match");
}

}  // namespace hsmith::recovery
