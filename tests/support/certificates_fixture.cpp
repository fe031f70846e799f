#include "tests/support/certificates_fixture.h"

#include <openssl/conf.h>

#include "src/ossl/check.h"
#include "src/x509/extensions.h"
#include "src/x509/name.h"

namespace hsmith::tests {
namespace {

using ossl::check;

void add_extension(X509* certificate, int nid, const std::string& value, X509* issuer = nullptr) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ossl::Extension extension(ossl::check_ptr(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), "make an extension"));
  check(X509_add_ext(certificate, extension.get(), -1) == 1, "add an extension");
}

void add_usual(X509* certificate, const CertificateSpec& spec, EVP_PKEY* key) {
  x509::Wishes wishes;
  std::vector<std::string> unused;
  for (const std::string& name : spec.names) {
    for (auto& parsed : x509::parse_alt_names(name, unused)) wishes.names.push_back(parsed);
  }
  wishes.key_usage = x509::parse_key_usage(spec.key_usage);
  wishes.extended_key_usage = x509::parse_extended_key_usage(spec.extended_key_usage);
  const ossl::Extensions list =
      x509::make_extensions(wishes, X509_get_subject_name(certificate), key);
  for (int i = 0; i < sk_X509_EXTENSION_num(list.get()); ++i) {
    check(X509_add_ext(certificate, sk_X509_EXTENSION_value(list.get(), i), -1) == 1,
          "add an extension");
  }
}

}  // namespace

ossl::Certificate certify(const CertificateSpec& spec, std::shared_ptr<MemoryKey> key,
                          const Identity* issuer) {
  static std::uint64_t serial = 0x4a00000000001000;  // as long as those of authorities
  ossl::Certificate made(X509_new());
  const ossl::Name subject =
      spec.subject.empty() ? ossl::Name(X509_NAME_new()) : x509::parse_name(spec.subject);
  X509_set_version(made.get(), X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(made.get()), ++serial);
  X509_set_subject_name(made.get(), subject.get());
  X509_set_issuer_name(made.get(), issuer == nullptr
                                       ? subject.get()
                                       : X509_get_subject_name(issuer->certificate.get()));
  ASN1_TIME_set(X509_getm_notBefore(made.get()), spec.not_before);
  ASN1_TIME_set(X509_getm_notAfter(made.get()), spec.not_after);
  check(X509_set_pubkey(made.get(), key->public_key()) == 1, "set the key");
  add_usual(made.get(), spec, key->public_key());
  if (spec.authority) add_extension(made.get(), NID_basic_constraints, "critical,CA:TRUE");
  if (issuer != nullptr) {
    add_extension(made.get(), NID_authority_key_identifier, "keyid", issuer->certificate.get());
  }
  if (!spec.extra.empty()) {
    const std::size_t equals = spec.extra.find('=');
    const int nid = OBJ_txt2nid(spec.extra.substr(0, equals).c_str());
    add_extension(made.get(), nid, spec.extra.substr(equals + 1));
  }
  const MemoryKey& signer = issuer == nullptr ? *key : *issuer->key;
  check(X509_sign(made.get(), signer.private_key(), EVP_sha256()) > 0, "sign a certificate");
  // Read again, so that the tests see what users see.
  const Bytes der = ossl::der_of(i2d_X509, made.get());
  const unsigned char* at = der.data();
  return ossl::Certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
}

Identity issue(const CertificateSpec& spec, const Identity* issuer) {
  auto key = MemoryKey::generate("ec:p256");
  ossl::Certificate certificate = certify(spec, key, issuer);
  return {std::move(key), std::move(certificate)};
}

Identity root(const std::string& subject) {
  return issue({.subject = subject,
                .names = {},
                .key_usage = "keyCertSign,cRLSign",
                .extended_key_usage = "",
                .authority = true,
                .extra = ""},
               nullptr);
}

Identity authority(const std::string& subject, const Identity& issuer) {
  return issue({.subject = subject,
                .names = {},
                .key_usage = "keyCertSign,cRLSign",
                .extended_key_usage = "",
                .authority = true,
                .extra = ""},
               &issuer);
}

}  // namespace hsmith::tests
