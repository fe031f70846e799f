#include "src/x509/path.h"

#include <algorithm>
#include <array>
#include <exception>
#include <fmt/format.h>
#include <utility>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/alt_names.h"
#include "src/x509/name.h"
#include "src/x509/path_finder.h"
#include "src/x509/path_rules.h"
#include "src/x509/revocation.h"

namespace hsmith::x509 {
namespace {

constexpr std::size_t kMostCertificates = 10000;

// What each purpose is to OpenSSL 3.0. It knows none for code signing and key recovery, and takes
// an encryption certificate for no e-mail certificate: check_rules() sees to these.
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

// What the callback below needs.
struct Watch {
  Path path;
  std::time_t time;
  bool complete;  // the chain reaches an anchor
  std::exception_ptr failure;
};

// notAfter is the last moment that counts (RFC 5280, 4.1.2.5); to OpenSSL it is too late.
bool is_last_moment(int error, const X509* certificate, std::time_t time) {
  std::tm utc{};
  return error == X509_V_ERR_CERT_HAS_EXPIRED &&
         ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) == 1 && timegm(&utc) == time;
}

bool breaks_the_chain(int error) {
  switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return true;
    default:
      return false;
  }
}

// Lists are asked about all but the anchor (RFC 5280, 6.1.3); OpenSSL asks about it too.
bool is_anchor(X509_STORE_CTX* context) {
  return X509_STORE_CTX_get_error_depth(context) + 1 ==
         sk_X509_num(X509_STORE_CTX_get0_chain(context));
}

void note_in_path(Watch& watch, int error, X509_STORE_CTX* context) {
  const X509* certificate = X509_STORE_CTX_get_current_cert(context);
  if (certificate == nullptr) certificate = X509_STORE_CTX_get0_cert(context);
  const int depth = X509_STORE_CTX_get_error_depth(context);
  if (breaks_the_chain(error)) watch.complete = false;
  if (error == X509_V_ERR_CERT_REVOKED) watch.path.revoked = true;
  if (leaves_revocation_open(error)) {
    if (is_anchor(context)) return;
    add_problem(watch.path.unchecked, depth, certificate, revocation_reason(error, context));
  } else {
    add_problem(watch.path.problems, depth, certificate,
                error == X509_V_ERR_CERT_REVOKED ? revocation_reason(error, context)
                                                 : reason_of(error, certificate));
  }
}

// A list that another than the issuer signed: OpenSSL verifies the signer's path with the
// parameters of the path that is in question. Its leaf's host and purpose are not the signer's.
void note_in_signers_path(Watch& watch, int error, X509_STORE_CTX* context,
                          X509_STORE_CTX* parent) {
  const bool at_signer = X509_STORE_CTX_get_error_depth(context) == 0;
  const bool of_the_leaf =
      error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH ||
      error == X509_V_ERR_EMAIL_MISMATCH || (error == X509_V_ERR_INVALID_PURPOSE && at_signer);
  if (of_the_leaf || (leaves_revocation_open(error) && is_anchor(context))) return;
  const X509* signer = X509_STORE_CTX_get_current_cert(context);
  if (signer == nullptr) signer = X509_STORE_CTX_get0_cert(context);
  add_problem(watch.path.unchecked, X509_STORE_CTX_get_error_depth(parent),
              X509_STORE_CTX_get_current_cert(parent),
              fmt::format("the signer of its revocation list, \"{}\": {}",
                          name_text(X509_get_subject_name(signer)),
                          leaves_revocation_open(error) ? revocation_reason(error, context)
                                                        : reason_of(error, signer)));
}

// Collects every problem instead of stopping at the first. A path with a problem is never good,
// whatever X509_verify_cert then answers.
int note_problem(int ok, X509_STORE_CTX* context) noexcept {
  if (ok == 1) return 1;
  X509_STORE_CTX* parent = X509_STORE_CTX_get0_parent_ctx(context);
  auto& watch =
      *static_cast<Watch*>(X509_STORE_CTX_get_app_data(parent == nullptr ? context : parent));
  try {
    const int error = X509_STORE_CTX_get_error(context);
    const X509* certificate = X509_STORE_CTX_get_current_cert(context);
    if (certificate != nullptr && is_last_moment(error, certificate, watch.time)) {
      X509_STORE_CTX_set_error(context, X509_V_OK);
    } else if (parent == nullptr) {
      note_in_path(watch, error, context);
    } else {
      note_in_signers_path(watch, error, context, parent);
    }
    return 1;
  } catch (...) {
    watch.failure = std::current_exception();
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
  const auto is_ascii = [](char c) { return c > 0x20 && c < 0x7f; };
  std::vector<std::string> notices;
  // A host in ASCII is compared as it is, also when IDNA would not allow it.
  wanted.host = std::all_of(options.host.begin(), options.host.end(), is_ascii)
                    ? options.host
                    : dns_name(options.host, notices).value;
  if (wanted.host.find('*') != std::string::npos || wanted.host.size() > 253) {
    throw Error(Kind::usage,
                fmt::format("verify for the host {}: it is no host name", quoted(options.host)));
  }
  return wanted;
}

int level_of(const PathOptions& options) {
  return options.security_level.value_or(options.purpose == Purpose::server ? 2 : 1);
}

unsigned long flags_of(const PathOptions& options) {
  // Without POLICY_CHECK OpenSSL overlooks what a certificate's policyConstraints demands.
  unsigned long flags = X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_POLICY_CHECK;
  if (options.partial_chain) flags |= X509_V_FLAG_PARTIAL_CHAIN;
  if (options.strict) flags |= X509_V_FLAG_X509_STRICT;
  if (options.explicit_policy) flags |= X509_V_FLAG_EXPLICIT_POLICY;
  if (options.inhibit_mapping) flags |= X509_V_FLAG_INHIBIT_MAP;
  if (options.inhibit_any) flags |= X509_V_FLAG_INHIBIT_ANY;
  if (options.revocation != Revocation::off) {
    flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_EXTENDED_CRL_SUPPORT | X509_V_FLAG_USE_DELTAS;
    if (!options.leaf_only) flags |= X509_V_FLAG_CRL_CHECK_ALL;
  }
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
  const int level = level_of(options);
  if (level < 0 || level > 5) throw Error(Kind::usage, "the security level: it must be 0 to 5");
  if (options.max_depth.value_or(0) < 0) {
    throw Error(Kind::usage, "the depth: it must not be negative");
  }
  const PurposeInfo& purpose = info_of(options.purpose);
  bool ok = X509_VERIFY_PARAM_set_flags(parameters, flags_of(options)) == 1;
  X509_VERIFY_PARAM_set_time(parameters, options.time);
  X509_VERIFY_PARAM_set_auth_level(parameters, level);
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
  if (options.policies.empty()) add_policy(parameters, "2.5.29.32.0");  // any; none would be none
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

// What is the same for each path of a verification.
struct Question {
  const PathOptions& options;
  Wanted wanted;
  Lists lists;
};

void conclude_revocation(Path& path, const Question& question, bool complete) {
  if (question.options.revocation == Revocation::off) return;
  check_delta_lists(path, question.lists, question.options);
  note_set_aside(path, question.lists);
  path.revocation_checked = complete && path.chain.size() > 1 && path.unchecked.empty();
  if (question.options.revocation != Revocation::required) return;
  path.problems.insert(path.problems.end(), path.unchecked.begin(), path.unchecked.end());
}

// One run of OpenSSL and of our own rules.
Path check_path(X509* leaf, std::span<const ossl::Certificate> untrusted,
                std::span<const ossl::Certificate> anchors, const Question& question) {
  const ossl::Store store = store_of(anchors);
  const ossl::CertificateStack others = stack_of(untrusted);
  const ossl::StoreContext context(ossl::check_ptr(X509_STORE_CTX_new(), "prepare verification"));
  ossl::check(X509_STORE_CTX_init(context.get(), store.get(), leaf, others.get()) == 1,
              "prepare the verification");
  set_parameters(X509_STORE_CTX_get0_param(context.get()), question.options, question.wanted);
  X509_STORE_CTX_set0_crls(context.get(), question.lists.stack.get());
  Watch watch{{}, question.options.time, true, nullptr};
  X509_STORE_CTX_set_app_data(context.get(), &watch);
  X509_STORE_CTX_set_verify_cb(context.get(), note_problem);

  const int answer = X509_verify_cert(context.get());
  if (watch.failure) std::rethrow_exception(watch.failure);
  Path path = std::move(watch.path);
  if (answer != 1 && path.problems.empty()) {
    add_problem(path.problems, 0, leaf, reason_of(X509_STORE_CTX_get_error(context.get()), leaf));
  }
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    path.chain.push_back(ossl::share(sk_X509_value(chain, i)));
  }
  check_rules(path, question.options, question.wanted.host);
  conclude_revocation(path, question, watch.complete);
  path.ok = answer == 1 && path.problems.empty();
  ossl::clear_errors();
  return path;
}

bool same_chain(const std::vector<ossl::Certificate>& a, const std::vector<Step>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const Step& two) {
    return X509_cmp(one.get(), two.certificate) == 0;
  });
}

// What stands outside a path and cannot become part of it: signers of revocation lists.
bool may_sign_lists(const X509* certificate, const std::vector<Step>& path) {
  return std::none_of(path.begin(), path.end(), [&](const Step& step) {
    return X509_NAME_cmp(X509_get_subject_name(certificate),
                         X509_get_issuer_name(step.certificate)) == 0;
  });
}

Path check_steps(const std::vector<Step>& path, std::span<const ossl::Certificate> given,
                 const Question& question) {
  std::vector<ossl::Certificate> untrusted;
  std::vector<ossl::Certificate> anchors;
  for (std::size_t i = 1; i < path.size(); ++i) {
    (path[i].trusted ? anchors : untrusted).push_back(ossl::share(path[i].certificate));
  }
  if (!question.lists.usable.empty()) {
    for (const ossl::Certificate& one : given) {
      if (may_sign_lists(one.get(), path)) untrusted.push_back(ossl::share(one.get()));
    }
  }
  return check_path(path.front().certificate, untrusted, anchors, question);
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
                    std::span<const ossl::Certificate> anchors, const PathOptions& options,
                    std::span<const ossl::Crl> crls) {
  ossl::clear_errors();
  if (untrusted.size() > kMostCertificates || anchors.size() > kMostCertificates) {
    throw Error(Kind::usage, fmt::format("verify a path: more than {} certificates are given",
                                         kMostCertificates));
  }
  const bool ask = options.revocation != Revocation::off;
  const Question question{options, wanted_of(options),
                          make_lists(ask ? crls : std::span<const ossl::Crl>(), level_of(options))};
  std::vector<Path> tried;
  tried.push_back(check_path(leaf, untrusted, anchors, question));
  std::size_t good = 0;
  if (!tried.front().ok || options.all_paths) {
    for (const auto& steps : find_paths(leaf, untrusted, anchors, options.partial_chain)) {
      if (same_chain(tried.front().chain, steps)) continue;
      tried.push_back(check_steps(steps, untrusted, question));
      if (tried.back().ok && !tried[good].ok) good = tried.size() - 1;
      if (tried[good].ok && !options.all_paths) break;
    }
  }
  Verdict verdict{std::move(tried[good]), {}};
  tried.erase(tried.begin() + static_cast<std::ptrdiff_t>(good));
  verdict.other_paths = std::move(tried);
  return verdict;
}

}  // namespace hsmith::x509
