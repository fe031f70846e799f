#include "src/x509/path.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <utility>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/extensions.h"
#include "src/x509/name.h"

namespace hsmith::x509 {
namespace {

constexpr std::size_t kMostProblems = 64;
constexpr std::size_t kMostCertificates = 10000;

using NameConstraints = std::unique_ptr<NAME_CONSTRAINTS, ossl::Deleter<NAME_CONSTRAINTS_free>>;

// What each purpose is to OpenSSL 3.0. It knows none for code signing and key recovery, and takes
// an encryption certificate for no e-mail certificate: check_usage() sees to these.
struct PurposeInfo {
  const char* name;
  Purpose purpose;
  int openssl_purpose;  // 0: none
  int openssl_trust;
};
constexpr std::array<PurposeInfo, 7> kPurposes{{
    {"any", Purpose::any, 0, X509_TRUST_DEFAULT},
    {"server", Purpose::server, X509_PURPOSE_SSL_SERVER, X509_TRUST_SSL_SERVER},
    {"client", Purpose::client, X509_PURPOSE_SSL_CLIENT, X509_TRUST_SSL_CLIENT},
    {"email", Purpose::email, 0, X509_TRUST_EMAIL},
    {"codesign", Purpose::codesign, 0, X509_TRUST_OBJECT_SIGN},
    {"timestamp", Purpose::timestamp, X509_PURPOSE_TIMESTAMP_SIGN, X509_TRUST_TSA},
    {"kra", Purpose::kra, 0, X509_TRUST_DEFAULT},
}};

const PurposeInfo& info_of(Purpose purpose) {
  return *std::find_if(kPurposes.begin(), kPurposes.end(),
                       [&](const PurposeInfo& info) { return info.purpose == purpose; });
}

std::string time_text(const ASN1_TIME* time) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(time, &utc) != 1) return "a time that cannot be read";
  return rfc3339(timegm(&utc));
}

// Says more than OpenSSL's text where there is more to say.
std::string reason_of(int error, const X509* certificate) {
  switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return fmt::format("its issuer \"{}\" is not among the certificates given",
                         name_text(X509_get_issuer_name(certificate)));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "it is self-signed and not among the trusted certificates";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "it expired on " + time_text(X509_get0_notAfter(certificate));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "it is not valid before " + time_text(X509_get0_notBefore(certificate));
    default:
      return lower(X509_verify_cert_error_string(error));
  }
}

void add_problem(Verdict& verdict, int depth, const X509* certificate, std::string reason) {
  const bool known = std::any_of(
      verdict.problems.begin(), verdict.problems.end(),
      [&](const PathProblem& one) { return one.depth == depth && one.reason == reason; });
  if (known || verdict.problems.size() >= kMostProblems) return;
  const std::string subject =
      certificate == nullptr ? "" : name_text(X509_get_subject_name(certificate));
  verdict.problems.push_back({depth, subject, std::move(reason)});
}

// Collects every problem instead of stopping at the first. A path with a problem is never good,
// whatever X509_verify_cert then answers.
int note_problem(int ok, X509_STORE_CTX* context) noexcept {
  if (ok == 1) return 1;
  try {
    const X509* certificate = X509_STORE_CTX_get_current_cert(context);
    if (certificate == nullptr) certificate = X509_STORE_CTX_get0_cert(context);
    add_problem(*static_cast<Verdict*>(X509_STORE_CTX_get_app_data(context)),
                X509_STORE_CTX_get_error_depth(context), certificate,
                reason_of(X509_STORE_CTX_get_error(context), certificate));
    return 1;
  } catch (...) {
    ossl::keep_current_exception();
    return 0;
  }
}

// What the options name, in the form that OpenSSL and the checks below take.
struct Wanted {
  std::string host;  // A-labels; "" when none
  std::string ip;
};

Wanted wanted_of(const PathOptions& options) {
  Wanted wanted;
  if (!options.ip.empty()) wanted.ip = ip_name(options.ip).value;
  if (options.host.empty()) return wanted;
  if (is_ip(options.host)) {
    const std::string host_ip = ip_name(options.host).value;
    if (!wanted.ip.empty() && wanted.ip != host_ip) {
      throw Error(Kind::usage, fmt::format("verify for the host {} and the address {}: they differ",
                                           quoted(options.host), quoted(options.ip)));
    }
    wanted.ip = host_ip;
    return wanted;
  }
  std::vector<std::string> notices;
  wanted.host = dns_name(options.host, notices).value;
  if (wanted.host.front() == '*') {
    throw Error(Kind::usage,
                fmt::format("verify for the host {}: it is a wildcard", quoted(options.host)));
  }
  return wanted;
}

unsigned long flags_of(const PathOptions& options) {
  unsigned long flags = X509_V_FLAG_TRUSTED_FIRST;
  if (options.partial_chain) flags |= X509_V_FLAG_PARTIAL_CHAIN;
  if (options.strict) flags |= X509_V_FLAG_X509_STRICT;
  if (!options.policies.empty()) flags |= X509_V_FLAG_POLICY_CHECK;
  if (options.explicit_policy) flags |= X509_V_FLAG_EXPLICIT_POLICY;
  if (options.inhibit_mapping) flags |= X509_V_FLAG_INHIBIT_MAP;
  if (options.inhibit_any) flags |= X509_V_FLAG_INHIBIT_ANY;
  return flags;
}

void add_policy(X509_VERIFY_PARAM* parameters, const std::string& oid) {
  const bool dotted = !oid.empty() && oid.find_first_not_of("0123456789.") == std::string::npos;
  ossl::Asn1Object object(dotted ? OBJ_txt2obj(oid.c_str(), 1) : nullptr);
  if (object == nullptr) {
    ossl::clear_errors();
    throw Error(Kind::usage, fmt::format("the policy {}: it is no dotted OID", quoted(oid)));
  }
  ossl::check(X509_VERIFY_PARAM_add0_policy(parameters, object.get()) == 1, "set a policy");
  object.release();
}

void set_parameters(X509_VERIFY_PARAM* parameters, const PathOptions& options,
                    const Wanted& wanted) {
  if (options.security_level < 0 || options.security_level > 5) {
    throw Error(Kind::usage, "the security level: it must be 0 to 5");
  }
  const PurposeInfo& purpose = info_of(options.purpose);
  bool ok = X509_VERIFY_PARAM_set_flags(parameters, flags_of(options)) == 1;
  X509_VERIFY_PARAM_set_time(parameters, options.time);
  X509_VERIFY_PARAM_set_auth_level(parameters, options.security_level);
  if (options.max_depth) {
    if (*options.max_depth < 0) throw Error(Kind::usage, "the depth: it must not be negative");
    X509_VERIFY_PARAM_set_depth(parameters, *options.max_depth);
  }
  if (purpose.openssl_purpose != 0) {
    ok = ok && X509_VERIFY_PARAM_set_purpose(parameters, purpose.openssl_purpose) == 1;
  }
  if (purpose.openssl_trust != X509_TRUST_DEFAULT) {
    ok = ok && X509_VERIFY_PARAM_set_trust(parameters, purpose.openssl_trust) == 1;
  }
  // RFC 9525: names stand in subjectAltName, never in the subject.
  X509_VERIFY_PARAM_set_hostflags(
      parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (!wanted.host.empty()) {
    ok = ok && X509_VERIFY_PARAM_set1_host(parameters, wanted.host.c_str(), 0) == 1;
  }
  if (!wanted.ip.empty()) {
    ok = ok && X509_VERIFY_PARAM_set1_ip_asc(parameters, wanted.ip.c_str()) == 1;
  }
  ossl::check(ok, "prepare the verification");
  for (const std::string& oid : options.policies) add_policy(parameters, oid);
}

bool allows(const std::vector<std::string>& list, std::string_view wanted) {
  return list.empty() || std::find(list.begin(), list.end(), wanted) != list.end();
}

// Where OpenSSL has no such purpose: the leaf must name it, an authority may leave it out or name
// any (RFC 5280, 4.2.1.12).
void check_usage(Verdict& verdict, std::string_view purpose,
                 const std::vector<std::string>& key_usages) {
  for (std::size_t i = 0; i < verdict.chain.size(); ++i) {
    const X509* certificate = verdict.chain[i].get();
    const auto facts = read_extensions(X509_get0_extensions(certificate));
    const auto& purposes = facts.extended_key_usage;
    const bool named = std::find(purposes.begin(), purposes.end(), purpose) != purposes.end();
    const bool ok = named || (i > 0 && allows(purposes, "anyExtendedKeyUsage"));
    const int depth = static_cast<int>(i);
    if (!ok) add_problem(verdict, depth, certificate, fmt::format("it is not for {}", purpose));
    const bool usable = std::any_of(key_usages.begin(), key_usages.end(), [&](const auto& usage) {
      return allows(facts.key_usage, usage);
    });
    if (i == 0 && !usable) {
      add_problem(verdict, depth, certificate,
                  fmt::format("its key usage has not {}", fmt::join(key_usages, " or ")));
    }
  }
}

// An e-mail certificate signs, decrypts, or does both.
void check_email_usage(Verdict& verdict) {
  for (std::size_t i = 0; i < verdict.chain.size(); ++i) {
    X509* certificate = verdict.chain[i].get();
    const int is_authority = i > 0 ? 1 : 0;
    const bool ok = X509_check_purpose(certificate, X509_PURPOSE_SMIME_SIGN, is_authority) == 1 ||
                    X509_check_purpose(certificate, X509_PURPOSE_SMIME_ENCRYPT, is_authority) == 1;
    if (!ok) add_problem(verdict, static_cast<int>(i), certificate, "it is not for e-mail");
  }
}

void check_purpose(Verdict& verdict, Purpose purpose) {
  if (purpose == Purpose::email) check_email_usage(verdict);
  if (purpose == Purpose::codesign) check_usage(verdict, "codeSigning", {"digitalSignature"});
  if (purpose == Purpose::kra) check_usage(verdict, "kra", {"keyEncipherment", "keyAgreement"});
}

void check_emails(Verdict& verdict, X509* leaf, const std::vector<std::string>& emails) {
  for (const std::string& email : emails) {
    if (X509_check_email(leaf, email.data(), email.size(), 0) != 1) {
      add_problem(verdict, 0, leaf, fmt::format("it is not good for {}", quoted(email)));
    }
  }
}

// A wildcard may match a host that the authority must not vouch for: "*.example.com" passes the
// exclusion of bar.example.com and yet covers it. So the host itself is checked too.
void check_host_constraints(Verdict& verdict, const std::string& host) {
  const ossl::Certificate stand_in(ossl::check_ptr(X509_new(), "make a certificate"));
  const AltName name{AltNameKind::dns, host};
  const ossl::GeneralNames names = general_names({&name, 1});
  ossl::check(X509_add1_ext_i2d(stand_in.get(), NID_subject_alt_name, names.get(), 0, 0) == 1,
              "make a certificate");
  for (std::size_t i = 1; i < verdict.chain.size(); ++i) {
    const X509* authority = verdict.chain[i].get();
    const NameConstraints constraints(static_cast<NAME_CONSTRAINTS*>(
        X509_get_ext_d2i(authority, NID_name_constraints, nullptr, nullptr)));
    if (constraints != nullptr &&
        NAME_CONSTRAINTS_check(stand_in.get(), constraints.get()) != X509_V_OK) {
      add_problem(verdict, static_cast<int>(i), authority,
                  fmt::format("it may not vouch for the host {}", quoted(host)));
    }
  }
}

ossl::Store store_of(std::span<const ossl::Certificate> anchors) {
  ossl::Store store(ossl::check_ptr(X509_STORE_new(), "make a list of trusted certificates"));
  for (const ossl::Certificate& anchor : anchors) {
    ossl::check(X509_STORE_add_cert(store.get(), anchor.get()) == 1, "add a trusted certificate");
  }
  return store;
}

ossl::CertificateStack stack_of(std::span<const ossl::Certificate> certificates) {
  ossl::CertificateStack stack(ossl::check_ptr(sk_X509_new_null(), "make a list of certificates"));
  for (const ossl::Certificate& certificate : certificates) {
    ossl::Certificate shared = ossl::share(certificate.get());
    ossl::check(sk_X509_push(stack.get(), shared.get()) > 0, "make a list of certificates");
    shared.release();
  }
  return stack;
}

void keep_chain(Verdict& verdict, X509_STORE_CTX* context) {
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context);
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    verdict.chain.push_back(ossl::share(sk_X509_value(chain, i)));
  }
}

}  // namespace

Purpose purpose_named(std::string_view name) {
  std::vector<std::string> known;
  for (const PurposeInfo& info : kPurposes) {
    if (name == info.name) return info.purpose;
    known.emplace_back(info.name);
  }
  Error error(Kind::usage, fmt::format("the purpose {}: not known", quoted(name)));
  const auto near = did_you_mean(name, known);
  throw std::move(error).hint(near ? fmt::format("did you mean {}?", *near)
                                   : fmt::format("known are: {}", fmt::join(known, ", ")));
}

Verdict verify_path(X509* leaf, std::span<const ossl::Certificate> untrusted,
                    std::span<const ossl::Certificate> anchors, const PathOptions& options) {
  ossl::clear_errors();
  if (untrusted.size() > kMostCertificates || anchors.size() > kMostCertificates) {
    throw Error(Kind::usage, fmt::format("verify a path: more than {} certificates are given",
                                         kMostCertificates));
  }
  const Wanted wanted = wanted_of(options);
  const ossl::Store store = store_of(anchors);
  const ossl::CertificateStack others = stack_of(untrusted);
  const ossl::StoreContext context(ossl::check_ptr(X509_STORE_CTX_new(), "prepare verification"));
  ossl::check(X509_STORE_CTX_init(context.get(), store.get(), leaf, others.get()) == 1,
              "prepare the verification");
  set_parameters(X509_STORE_CTX_get0_param(context.get()), options, wanted);
  Verdict verdict;
  X509_STORE_CTX_set_app_data(context.get(), &verdict);
  X509_STORE_CTX_set_verify_cb(context.get(), note_problem);

  const bool found = X509_verify_cert(context.get()) == 1;
  const int error = X509_STORE_CTX_get_error(context.get());
  if (!found && verdict.problems.empty()) add_problem(verdict, 0, leaf, reason_of(error, leaf));
  keep_chain(verdict, context.get());
  check_purpose(verdict, options.purpose);
  check_emails(verdict, leaf, options.emails);
  if (!wanted.host.empty()) check_host_constraints(verdict, wanted.host);
  verdict.ok = found && verdict.problems.empty();
  ossl::clear_errors();
  return verdict;
}

}  // namespace hsmith::x509
