#include "src/x509/path_finder.h"

#include <algorithm>

#include "src/base/bytes.h"
#include "src/ossl/check.h"

namespace hsmith::x509 {
namespace {

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

}  // namespace

std::vector<std::vector<Step>> find_paths(X509* leaf, std::span<const ossl::Certificate> untrusted,
                                          std::span<const ossl::Certificate> anchors,
                                          bool partial_chain) {
  std::vector<std::vector<Step>> found = PathFinder(untrusted, anchors, partial_chain).find(leaf);
  ossl::clear_errors();
  return found;
}

}  // namespace hsmith::x509
