#include "cli/archive_search.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "cli/arguments.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"
#include "src/x509/public_key.h"

namespace hsmith::cli {
namespace {

constexpr std::size_t kMost = 100000;  // so many are in memory at once
const std::vector<std::string> kKinds{"cn",     "email",      "upn",  "user",
                                      "serial", "thumbprint", "keyid"};

// Hex as people copy it: "1b 4a b7", "1B:4A:B7".
std::string hex_of(const std::string& text) {
  std::string digits = lower(text);
  std::erase_if(digits, [](char c) { return c == ' ' || c == ':'; });
  return digits;
}

std::string value_for(const std::string& kind, const std::string& text) {
  if (kind == "serial" || kind == "thumbprint" || kind == "keyid") return hex_of(text);
  return lower(text);
}

// DOMAIN\user, in lower case.
struct DomainUser {
  std::string domain;
  std::string user;
};
std::optional<DomainUser> domain_user(const SearchOptions& options) {
  const std::size_t slash = options.search.find('\\');
  if ((!options.by.empty() && options.by != "user") || slash == std::string::npos)
    return std::nullopt;
  return DomainUser{lower(options.search.substr(0, slash)),
                    lower(options.search.substr(slash + 1))};
}

// What a search may mean, as certificates have it.
std::vector<recovery::Term> terms_for(const SearchOptions& options) {
  if (const auto wanted = domain_user(options)) return {{"user", wanted->user}};
  if (!options.by.empty()) return {{options.by, value_for(options.by, options.search)}};
  std::vector<recovery::Term> terms;
  for (const std::string& kind : kKinds) terms.push_back({kind, value_for(kind, options.search)});
  return terms;
}

// All of them, or none: who asks for all of a user's keys must not get some.
std::set<std::int64_t> ids(recovery::Archive& archive, const SearchOptions& options) {
  std::set<std::int64_t> all;
  for (const recovery::Term& term : terms_for(options)) {
    const auto found = archive.store->find(term.kind, term.value, kMost + 1);
    all.insert(found.begin(), found.end());
  }
  if (all.size() <= kMost) return all;
  throw Error(Kind::refused,
              fmt::format("find the keys of {}: more than {} match", quoted(options.search), kMost))
      .hint("name them more exactly");
}

// What keys are found by is not sealed: who edits it must not lead to another's key.
void check_terms(const SearchOptions& options, const Found& found) {
  const auto its = recovery::terms_of(found.certificate.get());
  for (const recovery::Term& term : terms_for(options)) {
    if (std::find(its.begin(), its.end(), term) != its.end()) return;
  }
  throw Error(Kind::mismatch,
              fmt::format("find the keys of {}: key {} is found by it, and its certificate says "
                          "nothing of it",
                          quoted(options.search), found.row.id))
      .hint("look at all of it with: hsmith archive verify");
}

bool is_address_of(const DomainUser& wanted, const std::string& address) {
  const std::string text = lower(address);
  const std::size_t at = text.rfind('@');
  if (at == std::string::npos || text.substr(0, at) != wanted.user) return false;
  const std::string suffix = text.substr(at + 1);
  return wanted.domain == suffix || wanted.domain == suffix.substr(0, suffix.find('.'));
}

// Whether a certificate says that its user is of the domain: a UPN does, whose suffix or the
// suffix's first label it is; where it has no UPN, an e-mail address. Users\user is the user in the
// default container of Active Directory, of whatever domain.
bool is_of_domain(X509* certificate, const DomainUser& wanted) {
  if (wanted.domain == "users") return true;
  const auto facts = x509::certificate_facts(certificate);
  const auto& names = facts.extensions.names;
  const auto is_upn = [](const auto& name) { return name.kind == x509::AltNameKind::upn; };
  const bool by_upn = std::any_of(names.begin(), names.end(), is_upn);
  const auto kind = by_upn ? x509::AltNameKind::upn : x509::AltNameKind::email;
  const bool said = std::any_of(names.begin(), names.end(), [&](const auto& name) {
    return name.kind == kind && is_address_of(wanted, name.value);
  });
  if (said || by_upn) return said;
  const auto parts = x509::name_parts(X509_get_subject_name(certificate));
  return std::any_of(parts.begin(), parts.end(), [&](const auto& part) {
    return part.type == "emailAddress" && is_address_of(wanted, part.value);
  });
}

// Takes those away that are not of the domain, where the search names one. Gives what they are.
std::vector<std::string> take_other_domains_away(std::vector<Found>& found,
                                                 const SearchOptions& options) {
  std::vector<std::string> others;
  const auto wanted = domain_user(options);
  if (!wanted) return others;
  std::erase_if(found, [&](const Found& one) {
    if (is_of_domain(one.certificate.get(), *wanted)) return false;
    others.push_back(found_line(one));
    return true;
  });
  return others;
}

// A key that a search led to, held against its seal and its certificate.
Found checked(recovery::Archive& archive, std::int64_t id, const SearchOptions& options) {
  Found found{recovery::checked_key(archive, id), nullptr};
  found.certificate = recovery::checked_certificate(archive, found.row.certificate);
  check_terms(options, found);
  return found;
}

std::string sha1_of(X509* certificate) {
  return hex(ossl::digest(ossl::digest_named("sha1"), x509::certificate_der(certificate)));
}

// Windows's template: the name, or the OID of a newer one.
std::string template_of(X509* certificate) {
  for (const char* oid : {"1.3.6.1.4.1.311.20.2", "1.3.6.1.4.1.311.21.7"}) {
    const ossl::Asn1Object object(OBJ_txt2obj(oid, 1));
    const int at = X509_get_ext_by_OBJ(certificate, object.get(), -1);
    if (at < 0) continue;
    const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(X509_get_ext(certificate, at));
    const unsigned char* start = ASN1_STRING_get0_data(value);
    if (std::string_view(oid).ends_with("20.2")) {
      const std::unique_ptr<ASN1_STRING, ossl::Deleter<ASN1_STRING_free>> name(
          d2i_ASN1_BMPSTRING(nullptr, &start, ASN1_STRING_length(value)));
      unsigned char* text = nullptr;
      const int size = name ? ASN1_STRING_to_UTF8(&text, name.get()) : -1;
      const ossl::OpensslBytes owned(text);
      if (size > 0) return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(size)};
      continue;
    }
    start += 2;  // the SEQUENCE's header; its first element is the OID
    const ossl::Asn1Object name(d2i_ASN1_OBJECT(nullptr, &start, ASN1_STRING_length(value) - 2));
    if (name) return x509::oid_text(name.get());
  }
  return "";
}

// What the blob has in the place of the certificate.
Json unknown_agent_json(const cms::Recipient& recipient) {
  if (recipient.name.issuer.empty()) return {{"key_id", hex(recipient.name.key_identifier)}};
  return {{"issuer", json_text(cms::issuer_text(recipient))},
          {"serial", hex(recipient.name.serial)}};
}

}  // namespace

void add_search_options(Arguments& command, SearchOptions& options) {
  command
      .add_option("SEARCH", options.search,
                  "Name, e-mail address, UPN, DOMAIN\\user, serial number, SHA-1 or SHA-256 "
                  "thumbprint, or key identifier")
      .required();
  command
      .add_option("--by", options.by,
                  "Look for this only: cn, email, upn, user, serial, "
                  "thumbprint, keyid")
      .one_of(kKinds);
}

std::vector<Found> search_archive(recovery::Archive& archive, const SearchOptions& options,
                                  std::vector<Error>& damaged) {
  std::vector<Found> found;
  for (const std::int64_t id : ids(archive, options)) {
    try {
      found.push_back(checked(archive, id, options));
    } catch (const Error& error) {
      if (error.kind() != Kind::mismatch && error.kind() != Kind::malformed) throw;
      damaged.push_back(error);
    }
  }
  std::vector<std::string> others = take_other_domains_away(found, options);
  if (found.empty() && !damaged.empty()) throw damaged.front();
  if (!found.empty() || others.empty()) return found;
  throw Error(Kind::not_found,
              fmt::format("find the key of {}: no certificate of this user says that it is of this "
                          "domain",
                          quoted(options.search)))
      .hint("name one of these by its UPN, its serial number or its thumbprint")
      .candidates(std::move(others));
}

Found find_one_key(recovery::Archive& archive, const SearchOptions& options) {
  std::vector<Error> damaged;
  std::vector<Found> found = search_archive(archive, options, damaged);
  if (!damaged.empty()) throw damaged.front();
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) {
    throw Error(Kind::not_found, fmt::format("find the key of {}: no archived keys were found "
                                             "(CERTSRV_E_PROPERTY_EMPTY 0x80094004)",
                                             quoted(options.search)))
        .hint("look with: hsmith archive find NAME");
  }
  std::vector<std::string> candidates;
  for (const Found& one : found) candidates.push_back(found_line(one));
  throw Error(Kind::ambiguous, fmt::format("find the key of {}: {} keys match (ambiguous name, "
                                           "0x8002802c)",
                                           quoted(options.search), found.size()))
      .hint("name one by its serial number, or take all with --all")
      .candidates(std::move(candidates));
}

std::string found_line(const Found& found) {
  const auto facts = x509::certificate_facts(found.certificate.get());
  return fmt::format("serial {} {} {} .. {} sha1 {}", facts.serial, facts.subject,
                     rfc3339(facts.not_before), rfc3339(facts.not_after),
                     sha1_of(found.certificate.get()));
}

void warn_of_missing_agents(Context& context, recovery::Archive& archive,
                            const std::vector<Found>& found) {
  std::set<Bytes> agents;
  for (const Found& one : found) agents.insert(one.row.agents.begin(), one.row.agents.end());
  for (const Bytes& sha256 : agents) {
    const auto agent = recovery::agent_certificate(archive, sha256);
    if (agent.certificate) continue;
    context.warn(agent.problem + ": this agent is named as the blob names it");
  }
}

void warn_of_missing_issuers(Context& context, recovery::Archive& archive,
                             const std::vector<Found>& found) {
  std::set<Bytes> issuers;
  for (const Found& one : found) issuers.insert(one.row.chain.begin(), one.row.chain.end());
  for (const std::string& problem :
       recovery::known_certificates(archive, {issuers.begin(), issuers.end()}).problems) {
    context.warn(problem + ": it is left out");
  }
}

Json found_json(recovery::Archive& archive, const Found& found) {
  const auto facts = x509::certificate_facts(found.certificate.get());
  Json json{{"number", found.row.id},
            {"serial", facts.serial},
            {"subject", json_text(facts.subject)},
            {"issuer", json_text(facts.issuer)},
            {"names", x509::texts_of(facts.extensions.names)},
            {"not_before", rfc3339(facts.not_before)},
            {"not_after", rfc3339(facts.not_after)},
            {"version", facts.version},
            {"sha1", sha1_of(found.certificate.get())},
            {"sha256", facts.sha256},
            {"origin", found.row.origin},
            {"archived", rfc3339(found.row.time)}};
  const std::string name = template_of(found.certificate.get());
  if (!name.empty()) json["template"] = json_text(name);
  json["agents"] = Json::array();
  const recovery::KeyAgents agents = recovery::agents_of(archive, found.row);
  for (const auto& agent : agents.known) {
    const auto its = x509::certificate_facts(agent.get());
    json["agents"].push_back({{"subject", json_text(its.subject)},
                              {"serial", its.serial},
                              {"sha1", sha1_of(agent.get())},
                              {"sha256", its.sha256}});
  }
  for (const cms::Recipient* agent : agents.unknown)
    json["agents"].push_back(unknown_agent_json(*agent));
  return json;
}

}  // namespace hsmith::cli
