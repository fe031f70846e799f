#include "src/ca/renew.h"

#include <algorithm>

#include "src/x509/certificate.h"

namespace hsmith::ca {
namespace {

constexpr std::time_t kDay = 86400;

Content content_for(const X509_NAME* subject, EVP_PKEY* key, const AuthorityWishes& wishes) {
  Content content;
  content.serial = random_serial();
  content.subject = subject;
  content.key = key;
  content.not_before = wishes.not_before;
  content.not_after = wishes.not_after;
  content.wishes.key_usage = {"keyCertSign", "cRLSign"};
  content.wishes.extended_key_usage = wishes.extended_key_usage;
  content.authority = true;
  content.path_length = wishes.path_length;
  return content;
}

AuthorityWishes wishes_of(const x509::CertificateFacts& facts) {
  AuthorityWishes wishes;
  wishes.extended_key_usage = facts.extensions.extended_key_usage;
  wishes.path_length = static_cast<int>(std::min(facts.extensions.path_length.value_or(-1), 100L));
  wishes.not_before = facts.not_before;
  wishes.not_after = facts.not_after;
  return wishes;
}

}  // namespace

ossl::Certificate make_root(const X509_NAME* subject, const std::shared_ptr<ossl::RemoteKey>& key,
                            const AuthorityWishes& wishes) {
  return make_certificate(content_for(subject, key->public_key(), wishes), {nullptr, key});
}

ossl::Certificate renew_root(X509* before, const std::shared_ptr<ossl::RemoteKey>& key, int days,
                             std::time_t now) {
  AuthorityWishes wishes = wishes_of(x509::certificate_facts(before));
  const std::time_t length = days == 0 ? wishes.not_after - wishes.not_before + 1 : days * kDay;
  wishes.not_before = now - kClockSkew;
  wishes.not_after = wishes.not_before + length - 1;
  return make_root(X509_get_subject_name(before), key, wishes);
}

ossl::Certificate cross_certificate(X509* subject, const Signer& signer) {
  AuthorityWishes wishes = wishes_of(x509::certificate_facts(subject));
  const x509::CertificateFacts issuer = x509::certificate_facts(signer.certificate);
  wishes.not_before = std::max(wishes.not_before, issuer.not_before);
  wishes.not_after = std::min(wishes.not_after, issuer.not_after);
  return make_certificate(
      content_for(X509_get_subject_name(subject), X509_get0_pubkey(subject), wishes), signer);
}

}  // namespace hsmith::ca
