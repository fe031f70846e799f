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
#include "src/x509/path_rules.h"

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
  Verdict verdict;
  std::time_t time;
  std::exception_ptr failure;
};

// notAfter is the last moment that counts (RFC 5280, 4.1.2.5); to OpenSSL it is too late.
bool is_last_moment(int error, const X509* certificate, std::time_t time) {
  std::tm utc{};
  return error == X509_V_ERR_CERT_HAS_EXPIRED &&
         ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) == 1 && timegm(&utc) == time;
}

// Collects every problem instead of stopping at the first. A path with a problem is never good,
// whatever X509_verify_cert then answers.
int note_problem(int ok, X509_STORE_CTX* context) noexcept {
  if (ok == 1) return 1;
  auto& watch = *static_cast<Watch*>(X509_STORE_CTX_get_app_data(context));
  try {
    const X509* certificate = X509_STORE_CTX_get_current_cert(context);
    if (certificate == nullptr) certificate = X509_STORE_CTX_get0_cert(context);
    const int error = X509_STORE_CTX_get_error(context);
    if (is_last_moment(error, certificate, watch.time)) {
      X509_STORE_CTX_set_error(context, X509_V_OK);
      return 1;
    }
    add_problem(watch.verdict, X509_STORE_CTX_get_error_depth(context), certificate,
                reason_of(error, certificate));
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

unsigned long flags_of(const PathOptions& options) {
  // Without POLICY_CHECK OpenSSL overlooks what a certificate's policyConstraints demands.
  unsigned long flags = X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_POLICY_CHECK;
  if (options.partial_chain) flags |= X509_V_FLAG_PARTIAL_CHAIN;
  if (options.strict) flags |= X509_V_FLAG_X509_STRICT;
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
  const int level = options.security_level.value_or(options.purpose == Purpose::server ? 2 : 1);
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

// One run of OpenSSL and of our own rules.
Verdict check_path(X509* leaf, std::span<const ossl::Certificate> untrusted,
                   std::span<const ossl::Certificate> anchors, const PathOptions& options,
                   const Wanted& wanted) {
  const ossl::Store store = store_of(anchors);
  const ossl::CertificateStack others = stack_of(untrusted);
  const ossl::StoreContext context(ossl::check_ptr(X509_STORE_CTX_new(), "prepare verification"));
  ossl::check(X509_STORE_CTX_init(context.get(), store.get(), leaf, others.get()) == 1,
              "prepare the verification");
  set_parameters(X509_STORE_CTX_get0_param(context.get()), options, wanted);
  Watch watch{{}, options.time, nullptr};
  X509_STORE_CTX_set_app_data(context.get(), &watch);
  X509_STORE_CTX_set_verify_cb(context.get(), note_problem);

  const int answer = X509_verify_cert(context.get());
  if (watch.failure) std::rethrow_exception(watch.failure);
  Verdict verdict = std::move(watch.verdict);
  if (answer != 1 && verdict.problems.empty()) {
    add_problem(verdict, 0, leaf, reason_of(X509_STORE_CTX_get_error(context.get()), leaf));
  }
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    verdict.chain.push_back(ossl::share(sk_X509_value(chain, i)));
  }
  check_rules(verdict, options, wanted.host);
  verdict.ok = answer == 1 && verdict.problems.empty();
  ossl::clear_errors();
  return verdict;
}

// A certificate of a path, and whether it was given as an anchor.
struct Step {
  X509* certificate = nullptr;
  bool trusted = false;
};

bool same_authority(const X509* a, const X509* b) {
  return X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0 &&
         equal(ossl::der_of(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(a)),
               ossl::der_of(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(b)));
}

// OpenSSL follows one path and does not turn back. This looks for the others, by names and
// signatures, within bounds: a hostile heap of certificates must not cost more than a moment.
// What the anchors say of an authority replaces what was given as chain, so that a limit that
// stands there is not walked around.
class PathFinder {
 public:
  PathFinder(std::span<const ossl::Certificate> untrusted,
             std::span<const ossl::Certificate> anchors, bool partial_chain)
      : partial_chain_(partial_chain) {
    for (const ossl::Certificate& anchor : anchors) steps_.push_back({anchor.get(), true});
    for (const ossl::Certificate& one : untrusted) {
      const bool shadowed = std::any_of(anchors.begin(), anchors.end(), [&](const auto& anchor) {
        return same_authority(anchor.get(), one.get());
      });
      if (!shadowed) steps_.push_back({one.get(), false});
    }
  }

  // Each path from the leaf to an anchor, both included.
  std::vector<std::vector<Step>> find(X509* leaf) {
    path_ = {{leaf, false}};
    extend();
    return std::move(found_);
  }

 private:
  static constexpr std::size_t kMostPaths = 32;
  static constexpr std::size_t kLongestPath = 24;
  static constexpr int kMostSignatures = 256;

  // True when the end of the path names `issuer` and, a dearer question, was signed by it.
  bool issued(X509* issuer) {
    X509* subject = path_.back().certificate;
    if (X509_check_issued(issuer, subject) != X509_V_OK || is_used(issuer)) return false;
    ++signatures_;
    EVP_PKEY* key = X509_get0_pubkey(issuer);
    return key != nullptr && X509_verify(subject, key) == 1;
  }

  bool is_used(const X509* certificate) const {
    return std::any_of(path_.begin(), path_.end(), [&](const Step& one) {
      return X509_cmp(one.certificate, certificate) == 0;
    });
  }

  bool is_end(const Step& step) const {
    return step.trusted &&
           (partial_chain_ || X509_check_issued(step.certificate, step.certificate) == X509_V_OK);
  }

  void extend() {
    for (const Step& step : steps_) {
      if (found_.size() >= kMostPaths || signatures_ >= kMostSignatures) return;
      if (!issued(step.certificate)) continue;
      path_.push_back(step);
      if (is_end(step)) {
        found_.push_back(path_);
      } else if (path_.size() < kLongestPath) {
        extend();
      }
      path_.pop_back();
    }
  }

  bool partial_chain_;
  std::vector<Step> steps_;
  std::vector<Step> path_;
  std::vector<std::vector<Step>> found_;
  int signatures_ = 0;
};

bool same_chain(const std::vector<ossl::Certificate>& a, const std::vector<Step>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const Step& two) {
    return X509_cmp(one.get(), two.certificate) == 0;
  });
}

Verdict check_steps(const std::vector<Step>& path, const PathOptions& options,
                    const Wanted& wanted) {
  std::vector<ossl::Certificate> untrusted;
  std::vector<ossl::Certificate> anchors;
  for (std::size_t i = 1; i < path.size(); ++i) {
    (path[i].trusted ? anchors : untrusted).push_back(ossl::share(path[i].certificate));
  }
  return check_path(path.front().certificate, untrusted, anchors, options, wanted);
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
  Verdict first = check_path(leaf, untrusted, anchors, options, wanted);
  if (first.ok) return first;
  PathFinder finder(untrusted, anchors, options.partial_chain);
  for (const std::vector<Step>& path : finder.find(leaf)) {
    if (same_chain(first.chain, path)) continue;
    Verdict other = check_steps(path, options, wanted);
    if (other.ok) {
      other.other_paths = std::move(first.other_paths);
      other.other_paths.push_back({std::move(first.chain), std::move(first.problems)});
      return other;
    }
    first.other_paths.push_back({std::move(other.chain), std::move(other.problems)});
  }
  ossl::clear_errors();
  return first;
}

}  // namespace hsmith::x509
