#include "src/recovery/other_keys.h"

#include "src/base/error.h"
#include "src/x509/certificate.h"
#include "src/x509/public_key.h"

namespace hsmith::recovery {
namespace {

// Of the kinds that name a person.
std::optional<Term> name_term(X509* certificate) {
  for (const Term& term : terms_of(certificate)) {
    if (term.kind == "cn" || term.kind == "email" || term.kind == "upn") return term;
  }
  return std::nullopt;
}

bool for_the_same(X509* a, X509* b) {
  const auto first = x509::certificate_facts(a).extensions;
  const auto second = x509::certificate_facts(b).extensions;
  return X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0 &&
         first.key_usage == second.key_usage &&
         first.extended_key_usage == second.extended_key_usage;
}

bool is_valid_at(X509* certificate, std::time_t now) {
  const auto facts = x509::certificate_facts(certificate);
  return facts.not_before <= now && now <= facts.not_after;
}

// The certificate of a key; null where the row or the certificate is damaged: that is for
// archive verify, and no reason to refuse another key.
ossl::Certificate undamaged(Archive& archive, std::int64_t id) {
  try {
    return checked_certificate(archive, checked_key(archive, id).certificate);
  } catch (const Error& error) {
    if (error.kind() != Kind::mismatch && error.kind() != Kind::malformed) throw;
    return nullptr;
  }
}

}  // namespace

ossl::Certificate other_valid_key(Archive& archive, X509* certificate, std::time_t now) {
  const auto name = name_term(certificate);
  if (!name || !is_valid_at(certificate, now)) return nullptr;
  for (const std::int64_t id : archive.store->find(name->kind, name->value, 20)) {
    auto there = undamaged(archive, id);
    if (there && is_valid_at(there.get(), now) && for_the_same(there.get(), certificate) &&
        !ossl::same_public_key(x509::public_key_of(there.get()), x509::public_key_of(certificate)))
      return there;
  }
  return nullptr;
}

}  // namespace hsmith::recovery
