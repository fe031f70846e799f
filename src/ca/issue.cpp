#include "src/ca/issue.h"

#include <algorithm>
#include <fmt/format.h>

#include "src/base/contains.h"
#include "src/base/error.h"
#include "src/base/shell_words.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/lint.h"
#include "src/x509/name.h"
#include "src/x509/public_key.h"
#include "src/x509/request.h"

namespace hsmith::ca {
namespace {

constexpr std::time_t kDay = 86400;
// Windows's renewal overlaps: an authority that ends sooner processes no such request.
constexpr std::time_t kAgentOverlap = 42 * kDay;
constexpr std::time_t kExchangeOverlap = kDay;

using Reasons = std::vector<std::string>;

void add_once(Reasons& reasons, std::string reason) {
  if (!contains(reasons, reason)) reasons.push_back(std::move(reason));
}

void add_errors(const std::vector<x509::Finding>& findings, Reasons& reasons) {
  for (const x509::Finding& finding : findings) {
    if (finding.severity == x509::Severity::error) add_once(reasons, finding.text);
  }
}

// What is asked for must be among what is allowed; nothing asked means all of it.
std::vector<std::string> allowed_usages(const std::vector<std::string>& asked,
                                        const std::vector<std::string>& allowed,
                                        std::string_view what, const x509::Profile& profile,
                                        Reasons& reasons) {
  for (const std::string& usage : asked) {
    if (!contains(allowed, usage))
      reasons.push_back(
          fmt::format("the profile {} does not allow the {} {}", profile.name, what, usage));
  }
  return asked.empty() ? allowed : asked;
}

// The extensions of a request that the profile takes over as they are.
void take_extensions(X509_REQ* request, const x509::Profile& profile, Content& content,
                     Reasons& reasons) {
  const ossl::Extensions list(X509_REQ_get_extensions(request));
  const x509::ExtensionFacts facts = x509::read_extensions(list.get());
  for (int i = 0; list != nullptr && i < sk_X509_EXTENSION_num(list.get()); ++i) {
    X509_EXTENSION* one = sk_X509_EXTENSION_value(list.get(), i);
    const std::string oid = x509::oid_text(X509_EXTENSION_get_object(one));
    if (!contains(facts.other, oid)) continue;
    if (!contains(profile.request_extensions, oid)) {
      reasons.push_back(
          fmt::format("the profile {} does not allow the extension {}", profile.name, oid));
      continue;
    }
    const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(one);
    content.wishes.extra.push_back(
        x509::extra_extension(oid, X509_EXTENSION_get_critical(one) == 1,
                              Bytes(ASN1_STRING_get0_data(value),
                                    ASN1_STRING_get0_data(value) + ASN1_STRING_length(value))));
  }
}

void take_constraints(const x509::ExtensionFacts& facts, const x509::Profile& profile,
                      X509* authority, Content& content, Reasons& reasons) {
  content.authority = profile.authority;
  content.path_length = profile.path_length;
  if (!profile.authority) {
    if (facts.is_ca.value_or(false))
      reasons.push_back(fmt::format("the profile {} makes no authorities", profile.name));
    return;
  }
  if (facts.path_length && *facts.path_length >= 0 &&
      (profile.path_length < 0 || *facts.path_length < profile.path_length))
    content.path_length = static_cast<int>(std::min(*facts.path_length, 100L));
  const long room = X509_get_pathlen(authority);
  if (room == 0) reasons.emplace_back("this CA may have no authorities below it (path length 0)");
  if (room > 0 && (content.path_length < 0 || content.path_length >= room))
    content.path_length = static_cast<int>(room) - 1;
}

void take_wishes(X509_REQ* request, const x509::Profile& profile, Draft& draft, Reasons& reasons) {
  const x509::RequestFacts facts = x509::request_facts(request);
  x509::Wishes& wishes = draft.content.wishes;
  const auto algorithm = ossl::algorithm_of(draft.content.key);
  wishes.names = facts.extensions.names;
  for (const x509::AltName& name : wishes.names) {
    if (name.kind == x509::AltNameKind::directory || name.kind == x509::AltNameKind::other)
      reasons.push_back(fmt::format("names of the kind {} are not issued ({})",
                                    x509::alt_name_kind(name.kind), x509::text_of(name)));
  }
  wishes.key_usage =
      allowed_usages(facts.extensions.key_usage, x509::default_key_usage(profile, algorithm),
                     "key usage", profile, reasons);
  wishes.extended_key_usage =
      allowed_usages(facts.extensions.extended_key_usage, profile.extended_key_usage,
                     "extended key usage", profile, reasons);
  x509::apply_profile(profile, algorithm, draft.content.subject, wishes, draft.notices);
}

void lint_draft(X509_REQ* request, const x509::Profile& profile, const Draft& draft,
                Reasons& reasons) {
  add_errors(x509::lint_request(request, nullptr), reasons);
  x509::RequestSpec spec;
  spec.subject = ossl::Name(ossl::check_ptr(X509_NAME_dup(draft.content.subject), "copy a name"));
  spec.wishes = draft.content.wishes;
  add_errors(x509::lint_spec(spec, &profile), reasons);
  add_errors(x509::lint_key(draft.content.key, &profile), reasons);
}

// A key is one party's: never the authority's own, never one that was lost.
void check_key(Database& store, const std::vector<Authority>& authorities, EVP_PKEY* key,
               Reasons& reasons) {
  for (const Authority& one : authorities) {
    if (ossl::same_public_key(X509_get0_pubkey(one.certificate.get()), key))
      add_once(reasons, "its key is the CA's own");
  }
  const std::string sha256 = hex(ossl::digest(ossl::digest_named("sha256"), ossl::spki_of(key)));
  for (const Issued& earlier : issued_for_key(store, sha256)) {
    if (earlier.reason == "keyCompromise")
      add_once(reasons, fmt::format("its key was revoked as compromised, with the certificate {}",
                                    hex(earlier.serial)));
    if (earlier.profile == kExchangeProfile) add_once(reasons, "its key is the CA's exchange key");
  }
}

void set_validity(X509* authority, const x509::Profile& profile, std::optional<int> days,
                  std::time_t now, Draft& draft, Reasons& reasons) {
  const x509::CertificateFacts ca = x509::certificate_facts(authority);
  if (now < ca.not_before || now > ca.not_after) {
    reasons.push_back(fmt::format("the CA's own certificate is valid from {} to {}, not now",
                                  rfc3339(ca.not_before), rfc3339(ca.not_after)));
    return;
  }
  if (days && *days > profile.most_days)
    reasons.push_back(fmt::format("the profile {} allows {} days, {} were asked for", profile.name,
                                  profile.most_days, *days));
  draft.content.not_before = std::max(now - kClockSkew, ca.not_before);
  draft.content.not_after = now + days.value_or(profile.most_days) * kDay - kClockSkew - 1;
  const std::time_t overlap = needs_approval(profile)            ? kAgentOverlap
                              : profile.name == kExchangeProfile ? kExchangeOverlap
                                                                 : 0;
  if (ca.not_after - now < overlap) {
    reasons.push_back(
        fmt::format("the CA's own certificate ends {}, within the {} days in which "
                    "a certificate of the profile {} is renewed",
                    rfc3339(ca.not_after), overlap / kDay, profile.name));
  } else if (draft.content.not_after > ca.not_after && days) {
    reasons.push_back(fmt::format("the CA's own certificate ends {}, before {} days are over",
                                  rfc3339(ca.not_after), *days));
  } else if (draft.content.not_after > ca.not_after) {
    draft.content.not_after = ca.not_after;
    draft.notices.push_back(
        fmt::format("the certificate ends with the CA's own, {}", rfc3339(ca.not_after)));
  }
}

// The last CN, in its place, with the suffix.
ossl::Name exchange_subject(const X509_NAME* authority) {
  ossl::Name name(ossl::check_ptr(X509_NAME_dup(authority), "copy a name"));
  const std::string value = x509::last_value(authority, "CN") + "-Xchg";
  int at = -1;
  for (int i = X509_NAME_get_index_by_NID(name.get(), NID_commonName, -1); i >= 0;
       i = X509_NAME_get_index_by_NID(name.get(), NID_commonName, i))
    at = i;
  if (at >= 0) X509_NAME_ENTRY_free(X509_NAME_delete_entry(name.get(), at));
  ossl::clear_errors();
  ossl::check(X509_NAME_add_entry_by_NID(name.get(), NID_commonName, MBSTRING_UTF8,
                                         reinterpret_cast<const unsigned char*>(value.data()),
                                         static_cast<int>(value.size()), at, 0) == 1,
              "make the subject of the exchange certificate", Kind::refused);
  return name;
}

}  // namespace

std::string approval_of(const EVP_PKEY* key) {
  return hex(ossl::digest(ossl::digest_named("sha256"), ossl::spki_of(key))).substr(0, 16);
}

bool needs_approval(const x509::Profile& profile) {
  return contains(profile.extended_key_usage, "kra");
}

void check_purposes(X509* authority, const x509::Profile& profile) {
  const auto allowed = x509::read_extensions(X509_get0_extensions(authority)).extended_key_usage;
  if (allowed.empty() || contains(allowed, "anyExtendedKeyUsage")) return;
  for (const std::string& purpose : profile.extended_key_usage) {
    if (contains(allowed, purpose)) continue;
    throw Error(Kind::refused,
                fmt::format("issue by the profile {}: the CA's own certificate excludes the "
                            "purpose {} ({})",
                            profile.name, purpose, x509::purpose_oid(purpose)))
        .hint("an authority that may do this needs another certificate");
  }
}

Draft draft_certificate(Database& store, X509_REQ* request, const x509::Profile& profile,
                        std::optional<int> days, std::time_t now) {
  const Settings settings = read_settings(store);
  const std::vector<Authority> authorities = read_authorities(store);
  X509* authority = authority_in_service(authorities).certificate.get();
  check_purposes(authority, profile);
  Draft draft;
  Reasons reasons;
  draft.content.subject = X509_REQ_get_subject_name(request);
  draft.content.key = x509::public_key_of(request);
  draft.content.serial = random_serial();
  draft.content.template_name = profile.template_name;
  draft.content.crl_urls = settings.crl_urls;
  draft.content.issuer_urls = settings.issuer_urls;
  const x509::ExtensionFacts facts = x509::request_facts(request).extensions;
  add_errors(x509::lint_key(draft.content.key, &profile), reasons);
  if (reasons.empty()) take_wishes(request, profile, draft, reasons);
  take_extensions(request, profile, draft.content, reasons);
  take_constraints(facts, profile, authority, draft.content, reasons);
  set_validity(authority, profile, days, now, draft, reasons);
  check_key(store, authorities, draft.content.key, reasons);
  lint_draft(request, profile, draft, reasons);
  if (!reasons.empty()) {
    throw Error(Kind::refused, fmt::format("issue for the request of {}: {}",
                                           quoted(x509::name_text(draft.content.subject)),
                                           fmt::join(reasons, "; ")))
        .hint(fmt::format("see what it asks for with hsmith request show, hold it against the "
                          "profile with: hsmith request check FILE --profile {}",
                          shell_word(profile.name)));
  }
  return draft;
}

Draft draft_exchange(Database& store, EVP_PKEY* key, const x509::Profile& profile,
                     std::time_t now) {
  const Settings settings = read_settings(store);
  const std::vector<Authority> authorities = read_authorities(store);
  X509* authority = authority_in_service(authorities).certificate.get();
  check_purposes(authority, profile);
  Draft draft;
  Reasons reasons;
  draft.subject = exchange_subject(X509_get_subject_name(authority));
  draft.content.subject = draft.subject.get();
  draft.content.key = key;
  draft.content.serial = random_serial();
  draft.content.template_name = profile.template_name;
  draft.content.crl_urls = settings.crl_urls;
  draft.content.issuer_urls = settings.issuer_urls;
  draft.content.wishes.key_usage = profile.rsa_key_usage;
  draft.content.wishes.extended_key_usage = profile.extended_key_usage;
  set_validity(authority, profile, {}, now, draft, reasons);
  add_errors(x509::lint_key(key, &profile), reasons);
  if (!reasons.empty())
    throw Error(Kind::refused,
                fmt::format("make the exchange certificate: {}", fmt::join(reasons, "; ")));
  return draft;
}

std::optional<Issued> exchange_in_force(Database& store, EVP_PKEY* key, std::time_t now) {
  const std::vector<Authority> authorities = read_authorities(store);
  const Authority& own = authority_in_service(authorities);
  const std::string sha256 = hex(ossl::digest(ossl::digest_named("sha256"), ossl::spki_of(key)));
  std::optional<Issued> newest;
  for (Issued& one : issued_by_profile(store, kExchangeProfile)) {
    if (one.authority == own.id && one.key == sha256 && one.reason.empty() &&
        one.not_after - now > kExchangeOverlap)
      newest = std::move(one);
  }
  return newest;
}

void refuse_second(Database& store, std::string_view request_sha256, std::time_t now,
                   LastThird last_third) {
  const auto earlier = issued_for_request(store, request_sha256);
  if (!earlier || !earlier->reason.empty() || earlier->not_after < now) return;
  const std::time_t third = (earlier->not_after - earlier->issued) / 3;
  if (last_third == LastThird::may_be_renewed && now > earlier->not_after - third) return;
  throw Error(Kind::exists,
              fmt::format("issue for this request: it has been done at {}, the certificate {} was "
                          "written to {}",
                          rfc3339(earlier->issued), hex(earlier->serial), quoted(earlier->file)))
      .hint(fmt::format("to have it once more: hsmith ca show {} --ca {}", hex(earlier->serial),
                        shell_word(read_settings(store).name)));
}

Issued issued_from(X509* certificate, const Authority& authority, const x509::Profile& profile,
                   std::time_t now) {
  const x509::CertificateFacts facts = x509::certificate_facts(certificate);
  Issued issued;
  issued.serial = parse_hex(facts.serial).value();
  issued.certificate = x509::certificate_der(certificate);
  issued.authority = authority.id;
  issued.profile = profile.name;
  issued.subject = facts.subject;
  issued.key = facts.key_sha256;
  issued.not_after = facts.not_after;
  issued.issued = now;
  return issued;
}

}  // namespace hsmith::ca
