#include "src/x509/certificate.h"

#include <algorithm>
#include <fmt/format.h>
#include <openssl/cms.h>

#include "src/base/contains.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/input.h"
#include "src/x509/name.h"
#include "src/x509/public_key.h"
#include "src/x509/request.h"

namespace hsmith::x509 {
namespace {

constexpr std::size_t kMostCertificates = 10000;

using Cms = std::unique_ptr<CMS_ContentInfo, ossl::Deleter<CMS_ContentInfo_free>>;
using Certificates = std::vector<ossl::Certificate>;

[[noreturn]] void refuse(std::string_view input, std::string_view cause) {
  throw Error(Kind::malformed, fmt::format("read {}: {}", input, cause));
}

bool is_pkcs7(ByteView der) { return kind_of_der(der) == "a PKCS#7 or CMS file"; }

// PKCS#7 often comes in BER's indefinite form, so it is not asked to be DER.
void add_from_pkcs7(ByteView der, std::string_view input, Certificates& found) {
  ossl::clear_errors();
  const unsigned char* at = der.data();
  const Cms cms(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size())));
  ossl::clear_errors();
  if (cms == nullptr) refuse(input, "the PKCS#7 file is damaged");
  if (at != der.data() + der.size()) {
    refuse(input, fmt::format("{} bytes follow the PKCS#7 file",
                              der.size() - static_cast<std::size_t>(at - der.data())));
  }
  const ossl::CertificateStack stack(CMS_get1_certs(cms.get()));
  ossl::clear_errors();
  const int count = stack == nullptr ? 0 : sk_X509_num(stack.get());
  if (count == 0) refuse(input, "the PKCS#7 file holds no certificate");
  for (int i = 0; i < count; ++i) found.push_back(ossl::share(sk_X509_value(stack.get(), i)));
}

// "TRUSTED CERTIFICATE": a certificate, then OpenSSL's trust settings.
ossl::Certificate trusted_certificate(ByteView der, std::string_view input) {
  const unsigned char* at = der.data();
  ossl::Certificate certificate(d2i_X509_AUX(nullptr, &at, static_cast<long>(der.size())));
  ossl::clear_errors();
  if (certificate == nullptr || at != der.data() + der.size()) {
    refuse(input, "the trusted certificate is damaged");
  }
  return certificate;
}

// Some authorities send PKCS#7 under the label of a certificate.
void add_from_block(const PemBlock& block, std::string_view input, Certificates& found) {
  if (block.label == "TRUSTED CERTIFICATE") {
    found.push_back(trusted_certificate(block.der, input));
    return;
  }
  const std::string kind = kind_of_pem(block.label);
  const bool pkcs7 = kind == "a PKCS#7 file" || kind == "a CMS file";
  if (kind != "a certificate" && !pkcs7) return;
  if (pkcs7 || is_pkcs7(block.der)) {
    add_from_pkcs7(block.der, input, found);
  } else {
    found.push_back(certificate_from_der(block.der, input));
  }
}

std::time_t time_of(const ASN1_TIME* time, std::string_view what) {
  std::tm utc{};
  const bool readable = ASN1_TIME_to_tm(time, &utc) == 1;
  ossl::check(readable, fmt::format("read the time {} of the certificate", what), Kind::malformed);
  return timegm(&utc);
}

std::string serial_of(X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  const std::string digits =
      hex({ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial))});
  return ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER ? "-" + digits : digits;
}

void add_missing(std::string_view what, const std::vector<std::string>& asked,
                 const std::vector<std::string>& given, std::vector<std::string>& lines) {
  for (const std::string& one : asked) {
    if (!contains(given, one)) {
      lines.push_back(fmt::format("the {} {} was asked for and is not there", what, one));
    }
  }
}

std::vector<std::string> lower_texts(const std::vector<AltName>& names) {
  std::vector<std::string> texts = texts_of(names);
  for (std::string& text : texts) text = lower(text);
  return texts;
}

}  // namespace

ossl::Certificate certificate_from_der(ByteView der, std::string_view input) {
  ossl::clear_errors();
  const unsigned char* at = der.data();
  ossl::Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ossl::clear_errors();
  if (certificate == nullptr) refuse_kind(der, input, "a certificate");
  if (at != der.data() + der.size()) {
    refuse(input, fmt::format("{} bytes follow the certificate",
                              der.size() - static_cast<std::size_t>(at - der.data())));
  }
  if (!equal(certificate_der(certificate.get()), der)) refuse(input, "the certificate is not DER");
  return certificate;
}

std::vector<ossl::Certificate> read_certificates(ByteView content, std::string_view input) {
  if (content.empty()) refuse(input, "it is empty");
  Certificates found;
  if (!looks_like_pem(content)) {
    if (is_pkcs7(content)) {
      add_from_pkcs7(content, input, found);
    } else {
      found.push_back(certificate_from_der(content, input));
    }
    return found;
  }
  const std::vector<PemBlock> blocks = pem_blocks(content, input);
  for (const PemBlock& block : blocks) {
    add_from_block(block, input, found);
    if (found.size() > kMostCertificates) {
      refuse(input, fmt::format("it holds more than {} certificates", kMostCertificates));
    }
  }
  if (found.empty()) refuse_kind(content, input, "a certificate");
  return found;
}

std::vector<ossl::Certificate> read_anchors(ByteView content, std::string_view input) {
  Certificates found = read_certificates(content, input);
  for (const ossl::Certificate& anchor : found) {
    const bool damaged =
        X509_self_signed(anchor.get(), 0) == 1 && X509_self_signed(anchor.get(), 1) == 0;
    ossl::clear_errors();
    if (damaged) {
      refuse(input, fmt::format("the certificate of {} is signed by itself, but the signature does "
                                "not verify: it is damaged",
                                name_text(X509_get_subject_name(anchor.get()))));
    }
  }
  return found;
}

ossl::Certificate read_certificate(ByteView content, std::string_view input) {
  Certificates found = read_certificates(content, input);
  if (found.size() != 1) {
    refuse(input, fmt::format("it holds {} certificates, expected one", found.size()));
  }
  return std::move(found.front());
}

CertificateFacts certificate_facts(X509* certificate) {
  CertificateFacts facts;
  facts.subject = name_text(X509_get_subject_name(certificate));
  facts.issuer = name_text(X509_get_issuer_name(certificate));
  facts.serial = serial_of(certificate);
  facts.version = static_cast<int>(X509_get_version(certificate)) + 1;
  facts.not_before = time_of(X509_get0_notBefore(certificate), "notBefore");
  facts.not_after = time_of(X509_get0_notAfter(certificate), "notAfter");
  facts.extensions = read_extensions(X509_get0_extensions(certificate));
  const KeyFacts key = key_facts(X509_get_X509_PUBKEY(certificate));
  facts.key_type = key.type;
  facts.key_bits = key.bits;
  facts.key_sha256 = key.sha256;
  facts.signature_algorithm = algorithm_name(X509_get0_tbs_sigalg(certificate));
  facts.sha256 = certificate_sha256(certificate);
  facts.is_ca = facts.extensions.is_ca.value_or(false);
  facts.self_issued =
      same_name(X509_get_subject_name(certificate), X509_get_issuer_name(certificate));
  return facts;
}

EVP_PKEY* public_key_of(X509* certificate) {
  return borrow_key(X509_get_X509_PUBKEY(certificate), "the certificate");
}

std::string certificate_sha256(X509* certificate) {
  return hex(ossl::digest(ossl::digest_named("sha256"), certificate_der(certificate)));
}

bool same_certificate(const X509* a, const X509* b) {
  return equal(ossl::der_of(i2d_X509, a), ossl::der_of(i2d_X509, b));
}

std::vector<std::string> unknown_critical_extensions(X509* certificate) {
  std::vector<std::string> unknown;
  for (int i = 0; i < X509_get_ext_count(certificate); ++i) {
    X509_EXTENSION* extension = X509_get_ext(certificate, i);
    if (X509_EXTENSION_get_critical(extension) == 1 && X509_supported_extension(extension) == 0)
      unknown.push_back(oid_text(X509_EXTENSION_get_object(extension)));
  }
  return unknown;
}

Bytes certificate_der(X509* certificate) { return ossl::der_of(i2d_X509, certificate); }

std::string certificate_pem(X509* certificate) {
  return pem("CERTIFICATE", certificate_der(certificate));
}

std::string certificates_pem(std::span<const ossl::Certificate> certificates) {
  std::string text;
  for (const ossl::Certificate& certificate : certificates) {
    text += certificate_pem(certificate.get());
  }
  return text;
}

Bytes certificates_p7b(std::span<const ossl::Certificate> certificates) {
  ossl::clear_errors();
  const ossl::Pkcs7 pkcs7(ossl::check_ptr(PKCS7_new(), "make a PKCS#7 file"));
  ossl::check(PKCS7_set_type(pkcs7.get(), NID_pkcs7_signed) == 1, "make a PKCS#7 file");
  ossl::check(PKCS7_content_new(pkcs7.get(), NID_pkcs7_data) == 1, "make a PKCS#7 file");
  PKCS7_set_detached(pkcs7.get(), 1);
  for (const ossl::Certificate& certificate : certificates) {
    ossl::check(PKCS7_add_certificate(pkcs7.get(), certificate.get()) == 1,
                "add a certificate to the PKCS#7 file");
  }
  return ossl::der_of(i2d_PKCS7, pkcs7.get());
}

std::vector<std::string> differences_from_request(X509* certificate, X509_REQ* request) {
  std::vector<std::string> lines;
  const CertificateFacts given = certificate_facts(certificate);
  const RequestFacts asked = request_facts(request);
  if (given.key_sha256 != asked.key_sha256) lines.emplace_back("the key is another one");
  if (!same_name(X509_get_subject_name(certificate), X509_REQ_get_subject_name(request))) {
    lines.push_back(
        fmt::format("the subject is \"{}\", asked for was \"{}\"", given.subject, asked.subject));
  }
  add_missing("name", lower_texts(asked.extensions.names), lower_texts(given.extensions.names),
              lines);
  add_missing("key usage", asked.extensions.key_usage, given.extensions.key_usage, lines);
  add_missing("extended key usage", asked.extensions.extended_key_usage,
              given.extensions.extended_key_usage, lines);
  return lines;
}

}  // namespace hsmith::x509
