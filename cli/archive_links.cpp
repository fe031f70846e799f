#include "cli/archive_links.h"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>

#include "cli/chain_store.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ca/store.h"
#include "src/x509/certificate.h"
#include "src/x509/chain.h"
#include "src/x509/path.h"

namespace hsmith::cli {
namespace {

// What cannot be read is no link, and stops nothing that needs none.
std::vector<ossl::Certificate> certificates_of_authorities(Context& context) {
  std::vector<ossl::Certificate> all;
  const auto& state_folder = context.environment.state_folder;
  for (const std::string& name : ca::authority_names(state_folder)) {
    try {
      Database store = ca::open_store(state_folder, name, DatabaseMode::read);
      for (ca::Authority& one : ca::read_authorities(store))
        all.push_back(std::move(one.certificate));
    } catch (const Error& error) {
      context.warn(fmt::format("the certificates of the CA {} are left out: {}", quoted(name),
                               error.what()));
    }
  }
  return all;
}

bool is_of_an_anchor(X509* certificate, const std::vector<ossl::Certificate>& anchors) {
  return std::any_of(anchors.begin(), anchors.end(), [&](const auto& anchor) {
    return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_subject_name(anchor.get())) ==
           0;
  });
}

bool has_anchors_key(X509* certificate, const std::vector<ossl::Certificate>& anchors) {
  return std::any_of(anchors.begin(), anchors.end(), [&](const auto& anchor) {
    return ossl::same_public_key(x509::public_key_of(certificate),
                                 x509::public_key_of(anchor.get()));
  });
}

}  // namespace

std::vector<ossl::Certificate> archive_links(const recovery::Trust& trust, Context& context) {
  std::vector<ossl::Certificate> known = certificates_of_authorities(context);
  for (ossl::Certificate& one : chain_pool({}, context)) known.push_back(std::move(one));
  std::erase_if(known, [&](const auto& one) {
    return !is_of_an_anchor(one.get(), trust.anchors) ||
           has_anchors_key(one.get(), trust.anchors) || !x509::certificate_facts(one.get()).is_ca ||
           x509::is_issued_by(one.get(), one.get());
  });
  x509::PathOptions options;
  options.time = std::time(nullptr);
  options.revocation = x509::Revocation::if_known;
  std::vector<ossl::Certificate> links;
  for (const ossl::Certificate& one : known) {
    if (x509::verify_path(one.get(), known, trust.anchors, options, trust.crls).ok)
      links.push_back(ossl::share(one.get()));
  }
  return links;
}

}  // namespace hsmith::cli
