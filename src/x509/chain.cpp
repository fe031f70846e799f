#include "src/x509/chain.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "src/x509/name.h"

namespace hsmith::x509 {
namespace {

constexpr std::size_t kMostPaths = 100;
constexpr std::size_t kMostCertificates = 20;  // of one path
constexpr int kMostChecks = 20'000;            // of signatures

bool same_subject_and_key(X509* a, X509* b) {
  return X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0 &&
         equal(ossl::der_of(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(a)),
               ossl::der_of(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(b)));
}

bool is_self_signed(X509* certificate) { return is_issued_by(certificate, certificate); }

// Walks up from one certificate, all ways.
class Climber {
 public:
  Climber(std::span<const ossl::Certificate> pool, std::span<const ossl::Certificate> anchors)
      : anchors_(anchors) {
    for (const ossl::Certificate& one : anchors) add(one.get());
    for (const ossl::Certificate& one : pool) add(one.get());
  }

  IssuerPaths climb(X509* leaf) {
    path_ = {leaf};
    step();
    return std::move(found_);
  }

 private:
  // By subject; the certificate twice is one.
  void add(X509* certificate) {
    auto& namesakes = by_subject_[X509_subject_name_hash(certificate)];
    const bool known = std::any_of(namesakes.begin(), namesakes.end(),
                                   [&](X509* one) { return X509_cmp(one, certificate) == 0; });
    if (!known) namesakes.push_back(certificate);
  }

  std::vector<X509*> issuers_of(X509* certificate) {
    const auto known = issuers_.find(certificate);
    if (known != issuers_.end()) return known->second;
    std::vector<X509*> issuers;
    for (X509* candidate : by_subject_[X509_issuer_name_hash(certificate)]) {
      if (++checks_ > kMostChecks) found_.cut = true;
      if (!found_.cut && is_issued_by(certificate, candidate)) issuers.push_back(candidate);
    }
    issuers_[certificate] = issuers;
    return issuers;
  }

  bool is_anchor(X509* certificate) const {
    return std::any_of(anchors_.begin(), anchors_.end(), [&](const ossl::Certificate& anchor) {
      return X509_cmp(anchor.get(), certificate) == 0;
    });
  }

  void step() {
    X509* top = path_.back();
    const bool anchored = is_anchor(top);
    const bool ends = anchored || is_self_signed(top) || path_.size() == kMostCertificates;
    bool higher = false;
    for (X509* issuer : ends ? std::vector<X509*>{} : issuers_of(top)) {
      const bool loops = std::any_of(path_.begin(), path_.end(),
                                     [&](X509* one) { return same_subject_and_key(one, issuer); });
      if (loops) continue;
      if (found_.paths.size() == kMostPaths) {
        found_.cut = true;
        return;
      }
      higher = true;
      path_.push_back(issuer);
      step();
      path_.pop_back();
    }
    if (!higher) keep(anchored);
  }

  void keep(bool anchored) {
    IssuerPath path;
    for (X509* one : path_) path.chain.push_back(ossl::share(one));
    path.anchored = anchored;
    path.self_signed = is_self_signed(path_.back());
    found_.paths.push_back(std::move(path));
  }

  std::span<const ossl::Certificate> anchors_;
  std::map<unsigned long, std::vector<X509*>> by_subject_;
  std::map<X509*, std::vector<X509*>> issuers_;
  std::vector<X509*> path_;
  IssuerPaths found_;
  int checks_ = 0;
};

bool is_valid_at(X509* certificate, std::time_t time) {
  return X509_cmp_time(X509_get0_notBefore(certificate), &time) < 0 &&
         X509_cmp_time(X509_get0_notAfter(certificate), &time) > 0;
}

}  // namespace

bool names_issuer(X509* certificate, X509* issuer) {
  const bool named = X509_check_issued(issuer, certificate) == X509_V_OK;
  ossl::clear_errors();
  return named;
}

bool is_issued_by(X509* certificate, X509* issuer) {
  EVP_PKEY* key = X509_get0_pubkey(issuer);
  const bool is_issuer =
      key != nullptr && names_issuer(certificate, issuer) && X509_verify(certificate, key) == 1;
  ossl::clear_errors();
  return is_issuer;
}

IssuerPaths issuer_paths(X509* leaf, std::span<const ossl::Certificate> pool,
                         std::span<const ossl::Certificate> anchors) {
  IssuerPaths found = Climber(pool, anchors).climb(leaf);
  const auto rank = [](const IssuerPath& path) {
    return std::tuple(!path.anchored, !path.self_signed, path.chain.size());
  };
  std::stable_sort(found.paths.begin(), found.paths.end(),
                   [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return found;
}

std::vector<ossl::Certificate> server_chain(X509* leaf, std::span<const ossl::Certificate> pool,
                                            std::time_t time) {
  IssuerPaths found = issuer_paths(leaf, pool, {});
  for (IssuerPath& path : found.paths) {
    if (path.self_signed && path.chain.size() > 1) path.chain.pop_back();
  }
  const auto rank = [&](const IssuerPath& path) {
    const auto valid = [&](const ossl::Certificate& one) { return is_valid_at(one.get(), time); };
    // The leaf is the same in all.
    return std::pair(std::all_of(path.chain.begin() + 1, path.chain.end(), valid),
                     path.chain.size());
  };
  return std::move(
             *std::max_element(found.paths.begin(), found.paths.end(),
                               [&](const auto& a, const auto& b) { return rank(a) < rank(b); }))
      .chain;
}

std::vector<ossl::Certificate> order_chain(X509* leaf, std::span<const ossl::Certificate> pool) {
  IssuerPaths found = issuer_paths(leaf, pool, {});
  return std::move(found.paths.front().chain);
}

}  // namespace hsmith::x509
