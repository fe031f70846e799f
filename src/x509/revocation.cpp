#include "src/x509/revocation.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/crl.h"
#include "src/x509/name.h"
#include "src/x509/path_rules.h"

namespace hsmith::x509 {
namespace {

bool is_delta(const X509_CRL* crl) { return X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0; }

// True when a list bears the name of a certificate's issuer.
bool concerns(const X509_CRL* crl, const X509* certificate) {
  return X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(certificate)) == 0;
}

std::string date_of(const ASN1_TIME* time) {
  std::tm utc{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &utc) != 1) return "a time that cannot be read";
  return rfc3339(timegm(&utc));
}

std::string current_crl_reason(int error, const X509_CRL* crl) {
  const std::string name =
      crl == nullptr ? "" : fmt::format(" of \"{}\"", name_text(X509_CRL_get_issuer(crl)));
  if (error == X509_V_ERR_CRL_HAS_EXPIRED && crl != nullptr) {
    return fmt::format("the revocation list{} is stale: its next update was due on {}", name,
                       date_of(X509_CRL_get0_nextUpdate(crl)));
  }
  if (error == X509_V_ERR_CRL_NOT_YET_VALID && crl != nullptr) {
    return fmt::format("the revocation list{} is not valid before {}", name,
                       date_of(X509_CRL_get0_lastUpdate(crl)));
  }
  return fmt::format("the revocation list{}: {}", name,
                     lower(X509_verify_cert_error_string(error)));
}

// By their numbers (RFC 5280, 5.2.3), which grow; by their dates where one has none.
bool is_as_new(const CrlFacts& complete, const CrlFacts& changes) {
  const std::string& a = complete.number;
  const std::string& b = changes.number;
  if (a.empty() || b.empty()) return complete.this_update > changes.this_update;
  return a.size() != b.size() ? a.size() > b.size() : a >= b;
}

// A complete list of the same issuer that is at least as new makes a delta list needless.
bool is_superseded(X509_CRL* delta, X509* issuer, std::span<const ossl::Crl> crls,
                   std::time_t time) {
  for (const ossl::Crl& crl : crls) {
    if (is_delta(crl.get()) || X509_CRL_match(crl.get(), delta) == 0) continue;
    if (X509_NAME_cmp(X509_CRL_get_issuer(crl.get()), X509_CRL_get_issuer(delta)) != 0) continue;
    const CrlFacts complete = crl_facts(crl.get());
    const CrlFacts changes = crl_facts(delta);
    if (complete.this_update <= time && is_as_new(complete, changes) &&
        signed_crl(crl.get(), issuer)) {
      return true;
    }
  }
  return false;
}

void check_delta(Path& path, std::size_t depth, X509_CRL* delta, std::span<const ossl::Crl> crls,
                 const PathOptions& options) {
  X509* certificate = path.chain[depth].get();
  X509* issuer = path.chain[depth + 1].get();
  const CrlFacts facts = crl_facts(delta);
  if (facts.this_update > options.time || !signed_crl(delta, issuer) ||
      is_superseded(delta, issuer, crls, options.time)) {
    return;
  }
  const int at = static_cast<int>(depth);
  if (const auto revoked = revocation_in(delta, certificate)) {
    path.revoked = true;
    add_problem(path.problems, at, certificate, "it was revoked on " + *revoked);
  } else if (facts.next_update && *facts.next_update < options.time) {
    add_problem(path.unchecked, at, certificate,
                current_crl_reason(X509_V_ERR_CRL_HAS_EXPIRED, delta));
  }
}

}  // namespace

bool leaves_revocation_open(int error) {
  switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
    case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
    case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
    case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
    case X509_V_ERR_DIFFERENT_CRL_SCOPE:
    case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
      return true;
    default:
      return false;
  }
}

std::string revocation_reason(int error, X509_STORE_CTX* context) {
  X509* certificate = X509_STORE_CTX_get_current_cert(context);
  X509_CRL* crl = X509_STORE_CTX_get0_current_crl(context);
  if (error == X509_V_ERR_UNABLE_TO_GET_CRL) {
    return fmt::format("no revocation list decides on it: none of its issuer \"{}\" is at hand",
                       name_text(X509_get_issuer_name(certificate)));
  }
  if (error != X509_V_ERR_CERT_REVOKED) return current_crl_reason(error, crl);
  const auto revoked = crl == nullptr ? std::nullopt : revocation_in(crl, certificate);
  return revoked ? "it was revoked on " + *revoked : "it was revoked";
}

Lists make_lists(std::span<const ossl::Crl> crls, int security_level) {
  Lists lists;
  lists.stack.reset(ossl::check_ptr(sk_X509_CRL_new_null(), "make a list of revocation lists"));
  for (const ossl::Crl& crl : crls) {
    std::string defect = crl_defect(crl.get(), security_level);
    if (!defect.empty()) {
      lists.set_aside.push_back({crl.get(), std::move(defect)});
      continue;
    }
    lists.usable.push_back(ossl::share(crl.get()));
    ossl::Crl shared = ossl::share(crl.get());
    ossl::check(sk_X509_CRL_push(lists.stack.get(), shared.get()) > 0,
                "make a list of revocation lists");
    shared.release();
  }
  return lists;
}

void note_set_aside(Path& path, const Lists& lists) {
  const std::vector<PathProblem> undecided = path.unchecked;
  for (const PathProblem& problem : undecided) {
    X509* certificate = path.chain.at(static_cast<std::size_t>(problem.depth)).get();
    for (const Lists::SetAside& list : lists.set_aside) {
      if (!concerns(list.crl, certificate)) continue;
      add_problem(path.unchecked, problem.depth, certificate,
                  "a revocation list of its issuer is set aside: " + list.defect);
    }
  }
}

void check_delta_lists(Path& path, const Lists& lists, const PathOptions& options) {
  const std::size_t asked = options.leaf_only ? 1 : path.chain.size();
  for (const ossl::Crl& crl : lists.usable) {
    if (!is_delta(crl.get())) continue;
    for (std::size_t depth = 0; depth < asked && depth + 1 < path.chain.size(); ++depth) {
      if (concerns(crl.get(), path.chain[depth].get()))
        check_delta(path, depth, crl.get(), lists.usable, options);
    }
  }
}

}  // namespace hsmith::x509
