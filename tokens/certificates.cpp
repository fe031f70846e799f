#include "tokens/certificates.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "tokens/matching.h"
#include "tokens/quirks.h"
#include "tokens/reading.h"

namespace hsmith::tokens {
namespace {

constexpr std::size_t kMostCandidates = 20;
constexpr std::string_view kFingerprint = "sha256:";
constexpr std::size_t kFewestDigits = 8;

CertificateFields fields_of(X509* certificate) {
  return {.value = ossl::der_of(i2d_X509, certificate),
          .subject = ossl::der_of(i2d_X509_NAME, X509_get_subject_name(certificate)),
          .issuer = ossl::der_of(i2d_X509_NAME, X509_get_issuer_name(certificate)),
          .serial = ossl::der_of(i2d_ASN1_INTEGER, X509_get0_serialNumber(certificate))};
}

// Some tokens label certificates themselves.
bool has_names(const OpenToken& token, const TokenCertificate& certificate,
               const std::string& label, ByteView id) {
  return equal(certificate.id, id) &&
         (certificate.label == label || token_quirks(token.info).fixed_labels);
}

// The object as it stands on the token must be what was sent.
void read_back(const OpenToken& token, CK_OBJECT_HANDLE handle, const std::string& label,
               ByteView id, const Bytes& der) {
  const TokenCertificate found = read_certificate(token, handle);
  if (found.der == der && has_names(token, found, label, id)) return;
  throw Error(Kind::token_failed, "the token did not keep it as it was sent");
}

constexpr char kRepair[] =
    "see what is left with hsmith doctor, settle it with: hsmith doctor --repair";

// True of what a failed installation made, `made` where the token said so, and not another program
// meanwhile.
bool is_leftover(const OpenToken& token, CK_OBJECT_HANDLE handle, CK_OBJECT_HANDLE made,
                 const std::string& label, const Bytes& der) {
  if (handle == made) return true;
  static constexpr CK_ATTRIBUTE_TYPE kEssence[] = {CKA_VALUE, CKA_LABEL};
  const pkcs11::Attributes is = token.session->get(handle, kEssence);
  const std::string its_label = is.text(CKA_LABEL);
  if (is.bytes(CKA_VALUE).empty()) return its_label.empty() || its_label == label;
  return is.bytes(CKA_VALUE) == der &&
         (its_label == label || its_label.empty() || token_quirks(token.info).fixed_labels);
}

// Removes what a failed installation left, of the certificates with its id that were not there
// before. What else is among them stays, and token_failed says so. Returns how many it removed.
std::size_t remove_leftovers(const OpenToken& token, const Inventory& before, CK_OBJECT_HANDLE made,
                             const std::string& label, ByteView id, const Bytes& der) {
  pkcs11::Template same_id;
  same_id.set_number(CKA_CLASS, CKO_CERTIFICATE).set(CKA_ID, id);
  std::size_t removed = 0;
  bool is_all = true;
  for (const CK_OBJECT_HANDLE handle : token.session->find(same_id, kMostCandidates)) {
    const auto was_there = [&](const auto& old) { return old.handle == handle; };
    if (std::any_of(before.certificates.begin(), before.certificates.end(), was_there)) continue;
    if (std::any_of(before.broken.begin(), before.broken.end(), was_there)) continue;
    if (is_leftover(token, handle, made, label, der)) {
      token.session->destroy(handle);
      ++removed;
    } else {
      is_all = false;
    }
  }
  if (is_all) return removed;
  throw Error(Kind::token_failed,
              "a certificate came meanwhile that may be another program's, and stays");
}

// Throws unsupported where the token has no room for two certificates of one key.
void check_room(const OpenToken& token, const Inventory& inventory, ByteView id,
                const std::string& name) {
  if (!token_quirks(token.info).one_certificate_an_id) return;
  for (const TokenCertificate& there : inventory.certificates) {
    if (!std::ranges::equal(there.id, id)) continue;
    throw Error(Kind::unsupported,
                fmt::format("install the certificate of {}: the card takes one certificate of a "
                            "key, and has one",
                            name))
        .hint(
            "keep the old one as a file (hsmith cert export), delete it (hsmith cert delete), "
            "and install the new one")
        .candidates({there.uri});
  }
}

Installed install_as(const OpenToken& token, const Inventory& inventory, const std::string& label,
                     ByteView id, X509* certificate, const std::string& name) {
  const CertificateFields fields = fields_of(certificate);
  for (const TokenCertificate& there : inventory.certificates) {
    if (there.der == fields.value && has_names(token, there, label, id)) return Installed::before;
  }
  check_room(token, inventory, id, name);
  CK_OBJECT_HANDLE made = CK_INVALID_HANDLE;
  try {
    made = token.session->create(certificate_template(fields, label, id));
    read_back(token, made, label, id, fields.value);
  } catch (const Error& error) {
    const Error outer = error.during(fmt::format("install the certificate of {}", name));
    std::size_t removed = 0;
    try {
      removed = remove_leftovers(token, inventory, made, label, id, fields.value);
    } catch (const Error& second) {
      throw Error(outer.kind(), fmt::format("{}; what was begun could not be removed: {}",
                                            outer.what(), second.what()))
          .ckr(outer.ckr())
          .hint(kRepair)
          .unfinished();
    }
    // In a place there may be something else now than before.
    if (token_quirks(token.info).has_places() ||
        (removed == 0 && may_hide_leftovers(token.info, error)))
      throw Error(outer).hint(kRepair).unfinished();
    throw outer;
  }
  return Installed::now;
}

// Among objects that could not be read may be the one that is looked for.
void refuse_unread_keys(const Inventory& inventory, const std::string& name) {
  for (const BrokenObject& broken : inventory.broken) {
    if (broken.object_class == CKO_CERTIFICATE) continue;
    throw Error(Kind::token_failed, fmt::format("find the key of {}: none has its public key, but "
                                                "object {} cannot be read: {}",
                                                name, broken.handle, broken.reason))
        .hint("run the command again; what cannot be read: hsmith doctor");
  }
}

std::string sha256_of(const TokenCertificate& certificate) {
  return hex(ossl::digest(ossl::digest_named("sha256"), certificate.der));
}

// What tells certificates of one label and id apart: "sha256:… (URI, serial …)".
std::string told_apart(const TokenCertificate& certificate) {
  std::string serial = "that cannot be read";
  try {
    const auto parsed = x509::certificate_from_der(certificate.der, certificate.uri);
    serial = x509::certificate_facts(parsed.get()).serial;
  } catch (const Error&) {  // its fingerprint names it all the same
  }
  return fmt::format("sha256:{} ({}, serial {})", sha256_of(certificate), certificate.uri, serial);
}

// What each of several can be named by: its URI, or where two have one, its fingerprint.
struct Names {
  std::vector<std::string> names;
  std::string hint = "name one of them by its label or its URI";
};
Names names_of(const std::vector<TokenCertificate>& hits) {
  Names result;
  for (const TokenCertificate& hit : hits) result.names.push_back(hit.uri);
  const std::set<std::string> different(result.names.begin(), result.names.end());
  if (different.size() == hits.size()) return result;
  result.names.clear();
  for (const TokenCertificate& hit : hits) result.names.push_back(told_apart(hit));
  const std::set<std::string> named(result.names.begin(), result.names.end());
  result.hint = named.size() == hits.size()
                    ? "name one of them by its fingerprint: sha256:HEX"
                    : "no name tells copies apart that have one label and one id: delete one with "
                      "the module's own tool, such as pkcs11-tool --delete-object";
  return result;
}

// By label and id, or by the beginning of the certificate's SHA-256.
std::vector<TokenCertificate> certificates_named(const OpenToken& token, const Selector& selector) {
  std::vector<TokenCertificate> hits;
  if (!lower(selector.text).starts_with(kFingerprint)) {
    pkcs11::Template wanted;
    wanted.set_number(CKA_CLASS, CKO_CERTIFICATE);
    if (selector.label) wanted.set_text(CKA_LABEL, *selector.label);
    if (selector.id) wanted.set(CKA_ID, *selector.id);
    for (const auto handle : token.session->find(wanted, kMostCandidates))
      hits.push_back(read_certificate(token, handle));
    return hits;
  }
  std::string digits = lower(std::string_view(selector.text).substr(kFingerprint.size()));
  std::erase(digits, ':');
  const bool is_hex = digits.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_hex || digits.size() < kFewestDigits) {
    throw Error(Kind::usage,
                fmt::format("find the certificate {}: a fingerprint is written with {} hex digits "
                            "or more",
                            quoted(selector.text), kFewestDigits));
  }
  for (TokenCertificate& there : take_inventory(token).certificates) {
    if (sha256_of(there).starts_with(digits)) hits.push_back(std::move(there));
  }
  return hits;
}

}  // namespace

const Key& key_of_certificate(const OpenToken& token, const Inventory& inventory, X509* certificate,
                              const std::string& name) {
  EVP_PKEY* wanted = X509_get0_pubkey(certificate);
  if (wanted == nullptr)
    throw Error(Kind::malformed, fmt::format("read {}: its public key is of no known kind", name));
  const std::vector<const Key*> hits = keys_with(token, inventory, wanted);
  if (hits.size() == 1) return *hits.front();
  std::vector<std::string> uris;
  if (hits.empty()) {
    for (const Key& key : inventory.private_keys) uris.push_back(key.uri);
    refuse_unread_keys(inventory, name);
    throw Error(Kind::mismatch,
                fmt::format("find the key of {}: no private key on the token has its public key "
                            "(sha1 {})",
                            name, hex(ossl::key_identifier(wanted))))
        .hint("the certificate belongs to a key elsewhere; keys here: hsmith key list")
        .candidates(std::move(uris));
  }
  for (const Key* key : hits) uris.push_back(key->uri);
  throw Error(
      Kind::ambiguous,
      fmt::format("find the key of {}: {} private keys have its public key", name, hits.size()))
      .hint("delete the copies: hsmith key delete URI")
      .candidates(std::move(uris));
}

TokenCertificate certificate_in_service(const Inventory& inventory, const Key& key) {
  std::vector<TokenCertificate> hits;
  for (const TokenCertificate& one : objects_of(inventory, key).certificates) {
    const bool again =
        std::any_of(hits.begin(), hits.end(), [&](const auto& hit) { return hit.der == one.der; });
    if (!again) hits.push_back(one);
  }
  if (hits.empty()) {
    throw Error(Kind::not_found, fmt::format("find the certificate of {}: the token has none for "
                                             "this key",
                                             key.uri))
        .hint("install it: hsmith cert install FILE");
  }
  if (hits.size() == 1) return hits.front();
  std::vector<TokenCertificate> named;
  for (const TokenCertificate& hit : hits) {
    if (hit.label == key.label) named.push_back(hit);
  }
  if (named.size() == 1) return named.front();
  throw Error(Kind::ambiguous,
              fmt::format("find the certificate of {}: the token has {} for this key", key.uri,
                          hits.size()))
      .hint("delete the ones that are no longer wanted: hsmith cert delete NAME --token TOKEN")
      .candidates(names_of(hits).names);
}

bool is_placeholder(const OpenToken& token, const TokenCertificate& certificate) {
  const std::string_view begin = token_quirks(token.info).placeholder_subject;
  if (begin.empty()) return false;
  try {
    const ossl::Certificate parsed = x509::certificate_from_der(certificate.der, certificate.uri);
    const x509::CertificateFacts facts = x509::certificate_facts(parsed.get());
    return facts.subject.starts_with(begin) && facts.issuer == facts.subject;
  } catch (const Error&) {  // what cannot be read is not the token's own
    return false;
  }
}

bool is_beside(const OpenToken& token, const TokenCertificate& certificate, const Key& key) {
  return has_names(token, certificate, key.label, key.id);
}

void check_may_install(const OpenToken& token) {
  if (!token_quirks(token.info).officer_makes_keys || token.login == Login::so) return;
  throw Error(Kind::login_failed,
              fmt::format("install a certificate on the token {}: only its security officer does",
                          quoted(token.info.label)))
      .hint("add --login-as so");
}

Installed install(const OpenToken& token, const Inventory& inventory, const Key& key,
                  X509* certificate) {
  return install_as(token, inventory, key.label, key.id, certificate, key.uri);
}

Installed install_beside_no_key(const OpenToken& token, const Inventory& inventory,
                                const std::string& label, ByteView id, X509* certificate) {
  return install_as(token, inventory, label, id, certificate,
                    object_uri(token, label, id, ObjectType::cert));
}

TokenCertificate find_one_certificate(const OpenToken& token, const Selector& selector) {
  std::vector<TokenCertificate> hits = certificates_named(token, selector);
  if (hits.size() == 1) return std::move(hits.front());
  std::vector<std::string> uris;
  if (hits.empty()) {
    for (const TokenCertificate& there : take_inventory(token).certificates)
      uris.push_back(there.uri);
    throw Error(Kind::not_found,
                fmt::format("find the certificate {} on the token {}: none matches",
                            quoted(selector.text), quoted(token.info.label)))
        .hint("see the certificates with: hsmith cert list")
        .candidates(std::move(uris));
  }
  Names several = names_of(hits);
  throw Error(Kind::ambiguous,
              fmt::format("find the certificate {} on the token {}: {} match",
                          quoted(selector.text), quoted(token.info.label), hits.size()))
      .hint(several.hint)
      .candidates(std::move(several.names));
}

void destroy(const OpenToken& token, const TokenCertificate& certificate) {
  try {
    token.session->destroy(certificate.handle);
    pkcs11::Template same;
    same.set_number(CKA_CLASS, CKO_CERTIFICATE).set(CKA_VALUE, certificate.der);
    for (const auto handle : token.session->find(same, kMostCandidates)) {
      if (handle == certificate.handle) throw Error(Kind::token_failed, "the token still has it");
    }
  } catch (const Error& error) {
    throw error.during("delete " + certificate.uri);
  }
}

}  // namespace hsmith::tokens
